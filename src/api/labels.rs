//! Labels, annotations, finalizers and field managers: every one is declared here.
