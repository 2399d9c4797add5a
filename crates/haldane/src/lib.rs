//! The program: command line, configuration, and the daemon that wires everything up.

pub mod cli;
pub mod config;
pub mod daemon;
pub mod heap;
pub mod kinds;
