from __future__ import unicode_literals

import os
import time

from pysoa.common.metrics import Counter, MetricsRecorder, Timer, TimerResolution


class FileCounter(Counter):
    def __init__(self, name):
        self.name = name
        self.value = 0

    def increment(self, amount=1):
        self.value += amount


class FileTimer(Timer):
    def __init__(self, name):
        self.name = name
        self.value = None

    def start(self):
        self.started = time.time()

    def stop(self):
        self.value = (self.value or 0) + time.time() - self.started


class FileRecorder(MetricsRecorder):
    def __init__(self, config):
        self.folder = config['folder']
        self.metrics = []

    def counter(self, name, **kwargs):
        self.metrics.append(FileCounter(name))
        return self.metrics[-1]

    def timer(self, name, resolution=TimerResolution.MILLISECONDS, **kwargs):
        self.metrics.append(FileTimer(name))
        return self.metrics[-1]

    def commit(self):
        metrics = [metric for metric in self.metrics if metric.value is not None]
        self.metrics = [metric for metric in self.metrics if metric.value is None]
        with open(os.path.join(self.folder, 'metrics-{}'.format(os.getpid())), 'a') as f:
            f.writelines('{} {}\n'.format(metric.name, metric.value) for metric in metrics)
