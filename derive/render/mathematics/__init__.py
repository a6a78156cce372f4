"""Expressions, index arithmetic and conditions as mathematics to be printed."""
