"""Puts a folder that a test has made on this interpreter's path."""

import os
import sys

# The process' own environment: os.environ may be a copy from before.
sys.path.insert(0, os.environ.get("INTERPOOL_TEST_MODULES", ""))
