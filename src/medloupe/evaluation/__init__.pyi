from .compare import compare_runs as compare_runs
from .external import validate as validate
