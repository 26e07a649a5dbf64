//! The verifier as a WebAssembly module for the portal page: the same code as `qz-verify`, behind
//! four plain exports.
//!
//! The page asks for memory (`qz_alloc`), writes a [`request::Request`] into it, calls `qz_verify` (or
//! `qz_later` with a [`request::LaterRequest`]), reads the JSON report behind the returned address and gives both pieces of memory back
//! (`qz_free`). The module imports nothing: it has no clock, no network, no storage and no randomness,
//! so what it is given cannot leave the page through it. No bindings generator is involved.
// Handing memory over the module's boundary is what this crate is for, and what needs `unsafe`.
#![allow(unsafe_code)]

pub mod request;

use request::{LaterRequest, Request};

/// Verifies one encoded request and returns the report as JSON (of a PDF to which no proof belongs, what an
/// examination of its signatures says: `"kind": "pdf"`); `{"error": "…"}` if the request itself
/// cannot be read.
pub fn verify(request: &[u8]) -> Vec<u8> {
    let report = match Request::decode(request) {
        Ok(request) => {
            let input = qz_verify::Input {
                file: request.file,
                genesis: request.genesis,
                proof: request.proof,
                now_ms: request.now_ms,
                witness_policy: request.witness_policy,
                tsa_roots: request.tsa_roots,
            };
            if qz_verify::is_package(input.file) {
                serde_json::to_vec(&qz_verify::verify_package(&input, None))
            } else if let Some(report) = qz_verify::examine_alone(&input) {
                serde_json::to_vec(&report)
            } else {
                serde_json::to_vec(&qz_verify::verify_any(&input))
            }
        }
        Err(error) => serde_json::to_vec(&serde_json::json!({ "error": error.to_string() })),
    };
    report.expect("a report has string keys only, so it is always JSON")
}

/// Compares a newer state proof with what a piece of evidence showed; `{"error": "…"}` as above.
pub fn later(request: &[u8]) -> Vec<u8> {
    let answer = match LaterRequest::decode(request) {
        Ok(request) => serde_json::to_vec(&qz_verify::later::later(request.proof, &request.trust(), &request.known)),
        Err(error) => serde_json::to_vec(&serde_json::json!({ "error": error.to_string() })),
    };
    answer.expect("an answer has string keys only, so it is always JSON")
}

/// Gives out `len` zeroed bytes, for the caller to write to and to return through [`qz_free`].
#[unsafe(no_mangle)]
pub extern "C" fn qz_alloc(len: usize) -> *mut u8 {
    Box::into_raw(vec![0u8; len].into_boxed_slice()).cast()
}

/// Takes back the `len` bytes at `ptr`.
///
/// # Safety
/// `ptr` and `len` are from one [`qz_alloc`], or from one [`qz_verify()`] or [`qz_later()`] (its length field + 4), and are
/// given back once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qz_free(ptr: *mut u8, len: usize) {
    // SAFETY: by this function's contract the pair came from `Box::into_raw` of a slice of that length.
    drop(unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(ptr, len)) });
}

/// Verifies the request in the `len` bytes at `ptr` and returns the address of a 32-bit little-endian
/// length and as many bytes of JSON.
///
/// # Safety
/// `ptr` and `len` are from one [`qz_alloc`] that has not been given back.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qz_verify(ptr: *const u8, len: usize) -> *mut u8 {
    // SAFETY: by this function's contract these are `len` initialised bytes that nobody writes to now.
    framed(&verify(unsafe { std::slice::from_raw_parts(ptr, len) }))
}

/// The same for [`later`].
///
/// # Safety
/// As for [`qz_verify()`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qz_later(ptr: *const u8, len: usize) -> *mut u8 {
    // SAFETY: as in `qz_verify`.
    framed(&later(unsafe { std::slice::from_raw_parts(ptr, len) }))
}

fn framed(json: &[u8]) -> *mut u8 {
    let length = u32::try_from(json.len()).expect("a report is far below 4 GiB");
    let framed = [&length.to_le_bytes()[..], json].concat();
    Box::into_raw(framed.into_boxed_slice()).cast()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// What the page does with the exports, on this machine's own pointers.
    fn call(request: &[u8]) -> serde_json::Value {
        let ptr = qz_alloc(request.len());
        // SAFETY: each pair below comes from the export that made it and is given back once.
        unsafe {
            std::ptr::copy_nonoverlapping(request.as_ptr(), ptr, request.len());
            let answer = qz_verify(ptr, request.len());
            qz_free(ptr, request.len());
            let length = u32::from_le_bytes(*answer.cast::<[u8; 4]>()) as usize;
            let report = serde_json::from_slice(std::slice::from_raw_parts(answer.add(4), length)).unwrap();
            qz_free(answer, length + 4);
            report
        }
    }

    #[test]
    fn a_request_that_cannot_be_read_says_so() {
        assert_eq!(call(b"")["error"], "the request ends inside its file");
    }

    #[test]
    fn a_file_of_no_known_kind_is_invalid() {
        let mut request = Vec::new();
        for field in [&b"neither a PDF nor a proof"[..], b"no genesis", b"", &0u64.to_le_bytes(), b"", b""] {
            request.extend(u32::try_from(field.len()).unwrap().to_le_bytes());
            request.extend(field);
        }
        let report = call(&request);
        assert_eq!(report["verdict"], "INVALID", "{report}");
    }
}
