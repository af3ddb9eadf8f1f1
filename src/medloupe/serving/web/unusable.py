"""Say in a person's language why a picture or an ECG cannot be used, and what to do."""

from __future__ import annotations

from medloupe.serving.web.language import Language


def word_fault(code: str, lang: Language) -> tuple[str, str]:
    """Give the title and what to do of a fault by its code, as an answer's `why` has it; ("", "") of unknown ones."""
    key = f"quality.{code}"
    return (lang.t(f"{key}_title"), lang.t(f"{key}_do")) if lang.has(f"{key}_title") else ("", "")
