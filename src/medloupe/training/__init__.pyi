from .options import Options as Options
from .pipeline.run import train as train
