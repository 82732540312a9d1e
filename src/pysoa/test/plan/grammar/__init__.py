"""The language of fixture files."""

from __future__ import annotations

import sys

import pysoa.test.plan

sys.modules[__name__].__class__ = pysoa.test.plan._Documented
