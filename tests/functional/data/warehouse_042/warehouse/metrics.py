from __future__ import unicode_literals

import os
import time


class FileCounter(object):
    def __init__(self, name):
        self.name = name
        self.value = 0

    def increment(self, amount=1):
        self.value += amount


class FileTimer(FileCounter):
    def start(self):
        self.started = time.time()

    def stop(self):
        self.increment(time.time() - self.started)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, exc_type, exc_value, traceback):
        self.stop()


class FileRecorder(object):
    def __init__(self, config):
        self.folder = config['folder']
        self.metrics = []

    def counter(self, name, **kwargs):
        self.metrics.append(FileCounter(name))
        return self.metrics[-1]

    def timer(self, name, resolution=1000, **kwargs):
        self.metrics.append(FileTimer(name))
        return self.metrics[-1]

    def commit(self):
        metrics, self.metrics = self.metrics, []
        with open(os.path.join(self.folder, 'metrics-{}'.format(os.getpid())), 'a') as f:
            f.writelines('{} {}\n'.format(metric.name, metric.value) for metric in metrics)
