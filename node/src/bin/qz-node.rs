//! The program `qz-node`; everything is in the library beside it.

/// A validator makes and drops many small buffers; the system's allocator takes a tenth of its time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    qz_node::main()
}
