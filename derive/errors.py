"""Every error that derive raises on purpose, sorted by who can mend it.

The message is the whole text a person sees: what is wrong, where (a caret under the
text), the value, and what would be right. Nothing else is printed with it.
"""

from __future__ import annotations


class DeriveError(Exception):
    """Base of all errors raised on purpose; ``exit_code`` is the command line's."""

    exit_code = 2


class UsageError(DeriveError):
    """A flag, a size or a name that cannot be meant: the caller's to mend."""


class EquationError(UsageError):
    """An equation that cannot be read, with a caret under the place.

    ``text`` is the equation as written, ``column`` and ``width`` say where, ``remedy`` what
    would be right::

        w is read with 3 indices but declared with 4
            y[n,f,i,j] = sum[c,u,v](x[n,c,i+u,j+v] * w[f,c,u])
                                                     ^^^^^^^^
            add the missing index v (it is summed but used only in x)
    """

    def __init__(
        self,
        what: str,
        text: str = "",
        column: int | None = None,
        width: int = 1,
        remedy: str = "",
    ) -> None:
        self.what, self.text, self.column, self.width, self.remedy = (
            what,
            text,
            column,
            width,
            remedy,
        )
        lines = [what]
        if text:
            lines.append("    " + text)
            if column is not None:
                lines.append("    " + " " * column + "^" * max(width, 1))
        if remedy:
            lines.append("    " + remedy)
        super().__init__("\n".join(lines))


class NetworkError(EquationError):
    """A network that cannot be read, or whose shapes do not fit, with a caret under the layer."""


class NotDerivable(DeriveError):
    """No rule of the calculus covers this expression; the message names the missing rule."""


class Disproved(DeriveError):
    """A claim about our own output is false: our bug, and nothing is written.

    The message names the layer, the claim, the smallest failing entry and both values.
    """

    exit_code = 1


class OutputError(DeriveError):
    """A file could not be written, or differs from what ``--check`` expects."""

    exit_code = 1


class MissingTool(DeriveError):
    """An outside tool (a TeX engine, say) is needed and not installed."""

    exit_code = 3
