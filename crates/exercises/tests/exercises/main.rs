//! Exercises, and the program.

mod answers;
mod hostile;
mod program;
