"""Case studies: which clips are positive, medium and negative ones, and a page of them."""

from .rule import CLEAR, KINDS, Case, choose, kind_of, margin, rank

__all__ = ["CLEAR", "KINDS", "Case", "choose", "kind_of", "margin", "rank"]
