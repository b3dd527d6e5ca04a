import Glibc

/// Memory for bytes that live as long as one request: handed out in order, taken back all at once.
public final class ByteArena {
    private var chunks: [UnsafeMutableRawBufferPointer] = []
    private var used = 0
    private let chunkSize: Int

    public init(chunkSize: Int = 4096) { self.chunkSize = chunkSize }

    deinit { for chunk in chunks { chunk.deallocate() } }

    /// `count` bytes, which hold until `reset`.
    public func allocate(_ count: Int) -> UnsafeMutablePointer<UInt8> {
        if chunks.isEmpty || used + count > chunks[chunks.count - 1].count {
            chunks.append(.allocate(byteCount: max(count, chunkSize), alignment: 1))
            used = 0
        }
        defer { used += count }
        return chunks[chunks.count - 1].baseAddress!.assumingMemoryBound(to: UInt8.self) + used
    }

    /// A copy that holds until `reset`.
    public func copy(_ bytes: ByteView) -> ByteView {
        let target = allocate(bytes.count)
        memcpy(target, bytes.base, bytes.count)
        return ByteView(base: target, count: bytes.count)
    }

    /// Takes everything back and keeps one chunk.
    public func reset() {
        while chunks.count > 1 { chunks.removeLast().deallocate() }
        used = 0
    }
}
