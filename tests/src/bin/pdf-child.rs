//! The child in which the tests read PDFs.

fn main() {
    shared::pdf::child::run_if_asked();
}
