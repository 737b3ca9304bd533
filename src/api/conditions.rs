//! Conditions of every kind (kstatus conventions).
