import Bytes

/// Encodes commands in Redis's protocol, straight into one buffer.
public final class RESPWriter {
    let buffer = ByteBuffer(capacity: 4096)
    /// Whether scripts are sent whole in this attempt.
    var sendsScriptText = false
    /// The run id of the server that the commands go to; empty where it was not asked.
    var server = ""
    /// `EVALSHA` and the script's hash as they are sent, by the script's number; empty where the connection has not
    /// been given a hash.
    @exclusivity(unchecked) private var callsByHash: [[UInt8]] = []

    public init() {}

    /// What has been written.
    public var view: ByteView { buffer.view }

    /// Begins anew.
    public func removeAll() { buffer.removeAll() }

    /// Begins a command of `count` words, its name included.
    public func command(_ count: Int) {
        let target = buffer.reserve(23)
        buffer.didAppend(RESPWriter.writeHead(UInt8(ascii: "*"), count, to: target))
    }

    /// A type byte, a length and the end of the line; returns how many bytes that took, at most 23.
    @inline(__always)
    private static func writeHead(_ type: UInt8, _ count: Int, to target: UnsafeMutablePointer<UInt8>) -> Int {
        target[0] = type
        var length = 2
        // Most lengths have one or two digits.
        if count < 10 {
            target[1] = 0x30 &+ UInt8(truncatingIfNeeded: count)
        } else if count < 100 {
            target[1] = 0x30 &+ UInt8(truncatingIfNeeded: count / 10)
            target[2] = 0x30 &+ UInt8(truncatingIfNeeded: count % 10)
            length = 3
        } else {
            length = 1 + Decimal.write(count, to: target + 1)
        }
        target[length] = 0x0D
        target[length + 1] = 0x0A
        return length + 2
    }

    @inlinable
    public func argument(_ text: StaticString) { argument(ByteView(text)) }

    public func argument(_ bytes: ByteView) {
        let target = buffer.reserve(bytes.count + 26)
        var length = RESPWriter.writeHead(UInt8(ascii: "$"), bytes.count, to: target)
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

    /// Notes the hash under which the connection's server knows a script.
    func learn(_ hash: [UInt8], of script: Script) {
        while callsByHash.count <= script.number { callsByHash.append([]) }
        callsByHash[script.number] = Array("$7\r\nEVALSHA\r\n$\(hash.count)\r\n".utf8) + hash + [0x0D, 0x0A]
    }

    /// Begins the call of a script: by its hash, or, when Redis has forgotten it, by its text.
    public func script(_ script: Script, keyCount: Int, argumentCount: Int) {
        command(3 + keyCount + argumentCount)
        if !sendsScriptText, script.number < callsByHash.count, !callsByHash[script.number].isEmpty {
            buffer.append(callsByHash[script.number])
        } else {
            argument("EVAL" as StaticString)
            argument(script.source)
        }
        argument(decimal: keyCount)
    }
}
