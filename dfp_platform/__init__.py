"""dfp: a data and ML platform where every artifact lives on the branches of one lake."""

__version__ = "0.1.0"
