"""What ``pysoa upgrade-check`` finds out: rules over the code, settings and requirements of a service for 0.42 or 1.x.

Everything is read and nothing imported. A rule speaks only of names that certainly are PySOA's: a false alarm costs
people more than a miss. All modules but ``reading`` are pure.
"""
