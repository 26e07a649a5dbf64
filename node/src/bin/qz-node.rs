//! The program `qz-node`; everything is in the library beside it.

fn main() -> std::process::ExitCode {
    qz_node::main()
}
