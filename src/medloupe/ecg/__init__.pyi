from .files import read_ecg as read_ecg
from .signal import Signal as Signal
