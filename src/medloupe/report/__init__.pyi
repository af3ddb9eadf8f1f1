from .pages import render as render
from .pages import render_adaptation as render_adaptation
from .pages import render_comparison as render_comparison
from .pages import render_stress as render_stress
