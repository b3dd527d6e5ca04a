import Bytes

/// What a connection needs while a request is under way: bytes in, bytes out, and the table of header fields.
final class Buffers {
    static let inputBytes = 16384
    static let outputBytes = 4096
    /// Memory beyond this, grown for a large body or answer, is not kept for the next request.
    static let keptBytes = 65536

    let input = ByteBuffer(capacity: Buffers.inputBytes)
    let output = ByteBuffer(capacity: Buffers.outputBytes)
    let fields: HeaderFields

    init(headerCount: Int) { fields = HeaderFields(capacity: headerCount) }
}

/// The buffers that no connection of the loop needs at the moment. An idle connection holds none.
final class BufferPool {
    private var free: [Buffers] = []
    private let headerCount: Int
    private let maxFree = 256

    init(headerCount: Int) { self.headerCount = headerCount }

    /// How many are with connections.
    private(set) var inUse = 0

    func take() -> Buffers {
        inUse &+= 1
        return free.popLast() ?? Buffers(headerCount: headerCount)
    }

    func give(_ buffers: Buffers) {
        inUse &-= 1
        guard free.count < maxFree, buffers.input.allocatedBytes <= Buffers.keptBytes,
            buffers.output.allocatedBytes <= Buffers.keptBytes
        else { return }
        buffers.input.removeAll()
        buffers.output.removeAll()
        free.append(buffers)
    }
}
