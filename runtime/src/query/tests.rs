//! HTTP over hand-made read models.
