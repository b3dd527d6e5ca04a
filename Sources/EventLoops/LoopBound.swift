/// A value that belongs to one loop, in a box that anybody may carry. The box opens on that loop only.
public struct LoopBound<Value>: @unchecked Sendable {
    // Unchecked because the value is reached on its loop's thread only, which every access asserts.
    private let bound: Value
    public let loop: EventLoop

    public init(_ value: Value, loop: EventLoop) {
        bound = value
        self.loop = loop
    }

    public var value: Value {
        loop.preconditionOnLoop()
        return bound
    }
}
