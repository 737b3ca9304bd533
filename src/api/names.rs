//! Names and ids as types.
