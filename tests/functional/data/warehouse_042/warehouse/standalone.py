from __future__ import unicode_literals

from pysoa.server.standalone import simple_main


def main():
    from warehouse.server import WarehouseServer
    simple_main(lambda: WarehouseServer)


if __name__ == '__main__':
    main()
