import Bytes

/// Encodes commands in Redis's protocol, straight into one buffer.
public final class RESPWriter {
    let buffer = ByteBuffer(capacity: 4096)
    /// Whether scripts are sent whole in this attempt.
    var sendsScriptText = false
    /// The hashes that the connection has been given for its scripts.
    var hashes: [ObjectIdentifier: [UInt8]] = [:]

    init() {}

    /// The commands written. hiredis looks into them with `strchr`, so a NUL stands behind the last byte.
    func finish() -> ByteView {
        buffer.append(0)
        return buffer.view.slice(0, buffer.count - 1)
    }

    /// Begins a command of `count` words, its name included.
    public func command(_ count: Int) {
        buffer.append(UInt8(ascii: "*"))
        buffer.append(decimal: count)
        buffer.append("\r\n")
    }

    @inlinable
    public func argument(_ text: StaticString) { argument(ByteView(text)) }

    public func argument(_ bytes: ByteView) {
        let target = buffer.reserve(bytes.count + 26)
        target[0] = UInt8(ascii: "$")
        var length = 1 + Decimal.write(bytes.count, to: target + 1)
        target[length] = 0x0D
        target[length + 1] = 0x0A
        length += 2
        (target + length).update(from: bytes.base, count: bytes.count)
        length += bytes.count
        target[length] = 0x0D
        target[length + 1] = 0x0A
        buffer.didAppend(length + 2)
    }

    public func argument(_ text: String) { text.withByteView { argument($0) } }

    public func argument(_ bytes: [UInt8]) { bytes.withByteView { argument($0) } }

    public func argument(decimal value: Int) {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { digits in
            let count = Decimal.write(value, to: digits.baseAddress!)
            argument(ByteView(base: digits.baseAddress!, count: count))
        }
    }

    /// Words that are encoded already.
    public func raw(_ bytes: ByteView) { buffer.append(bytes) }

    /// Begins the call of a script: by its hash, or, when Redis has forgotten it, by its text.
    public func script(_ script: Script, keyCount: Int, argumentCount: Int) {
        command(3 + keyCount + argumentCount)
        if !sendsScriptText, let hash = hashes[ObjectIdentifier(script)] {
            argument("EVALSHA" as StaticString)
            argument(hash)
        } else {
            argument("EVAL" as StaticString)
            argument(script.source)
        }
        argument(decimal: keyCount)
    }
}
