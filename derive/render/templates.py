"""Where the templates are, and how they are filled.

Templates hold shape only: every slot is a finished string. The delimiters leave TeX and Python
alone, and a slot that nobody filled is an error.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import jinja2

_HERE = Path(__file__).resolve().parent.parent


def folder() -> Path:
    """The templates of an installed package, else those of the repository."""
    return next(p for p in (_HERE / "templates", _HERE.parent / "templates") if p.is_dir())


@cache
def template(name: str) -> jinja2.Template:
    """A template with the delimiters ``<< >>``, ``<% %>`` and ``<# #>``."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder()),
        undefined=jinja2.StrictUndefined,
        variable_start_string="<<",
        variable_end_string=">>",
        block_start_string="<%",
        block_end_string="%>",
        comment_start_string="<#",
        comment_end_string="#>",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # not HTML; the printers escape what they hand over
    )
    return environment.get_template(name)
