/// Suspends the caller until `start`'s argument is called with a value, on the same loop.
///
/// Unlike a continuation it passes values that are confined to the loop: they do not leave its thread.
public func suspend<Value>(_ start: (@escaping (Value) -> Void) -> Void) async -> Value {
    await withUnsafeContinuation { (continuation: UnsafeContinuation<Confined<Value>, Never>) in
        start { continuation.resume(returning: Confined(value: $0)) }
    }.value
}

private struct Confined<Value>: @unchecked Sendable {
    // Unchecked because the one who resumes and the one who waits are on the same loop.
    let value: Value
}
