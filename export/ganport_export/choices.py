"""What a user asks of an export beyond the network itself."""

import math
from dataclasses import dataclass

from ganport_runtime.differences import PSNR_LIMIT_DB
from ganport_runtime.entries import PRECISIONS

from ganport_export.engines import check_libraries
from ganport_export.errors import ExportError
from ganport_export.forms import FORMS as FORMS_BY_NAME

__all__ = ["DEFAULT_MIN_PSNR_DB", "FORMS", "PRECISIONS", "Choices"]

FORMS = tuple(FORMS_BY_NAME)
DEFAULT_MIN_PSNR_DB = 35.0
REFERENCE = "fp32"


@dataclass(frozen=True)
class Choices:
    """Which graphs are to be made, and how near to the reference they must come. A value that exists can be tried.

    Args:
        forms: of `FORMS`, in any order.
        precisions: of `PRECISIONS`, fp32 among them: it is what the others are measured against.
        min_psnr: the lowest mean PSNR in dB, 0 to 100, with which a variant is shipped.
        engines: libraries to build engines with.

    Raises:
        ExportError: anything unknown, named twice, out of range or missing.
    """

    forms: tuple[str, ...] = FORMS
    precisions: tuple[str, ...] = PRECISIONS
    min_psnr: float = DEFAULT_MIN_PSNR_DB
    engines: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for what, asked, known in (("form", self.forms, FORMS), ("precision", self.precisions, PRECISIONS)):
            for name in asked:
                if name not in known:
                    raise ExportError(f"{what} {name!r} cannot be exported: choose from {', '.join(known)}")
            if not asked or len(set(asked)) < len(asked):
                raise ExportError(f"{what}s {', '.join(asked) or 'none'}: name each one that is wanted once")
        if REFERENCE not in self.precisions:
            raise ExportError(
                f"precisions {', '.join(self.precisions)}: name fp32 too, it is what the others are measured against"
            )
        if not (math.isfinite(self.min_psnr) and 0 <= self.min_psnr <= PSNR_LIMIT_DB):
            raise ExportError(f"a lowest PSNR of {self.min_psnr:g} dB is none: give 0 to {PSNR_LIMIT_DB:g}")
        check_libraries(self.engines)
        compiled = [name for name in FORMS if FORMS_BY_NAME[name].engines]
        if self.engines and not set(self.forms) & set(compiled):
            raise ExportError(f"engines are built of the forms {', '.join(compiled)}: name one of them too")
