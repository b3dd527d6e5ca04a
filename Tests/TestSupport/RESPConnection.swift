import EventLoops

/// A plain blocking client of Redis's protocol, for what tests do behind the back of the code under test.
public final class RESPConnection {
    public indirect enum Reply: Equatable {
        case null
        case integer(Int)
        case text(String)
        case error(String)
        case array([Reply])

        /// The text of a reply as redis-cli writes it to a file.
        public var text: String {
            switch self {
            case .null: ""
            case .integer(let number): String(number)
            case .text(let text), .error(let text): text
            case .array(let elements): elements.map(\.text).joined(separator: "\n")
            }
        }

        public var elements: [Reply] { if case .array(let elements) = self { elements } else { [] } }
    }

    /// What Redis refused.
    public struct Refusal: Error, CustomStringConvertible {
        public let description: String
    }

    private let socket: BlockingSocket

    public init(_ address: Sockets.Address) throws { socket = try BlockingSocket(address) }

    /// One command and its reply; an error reply throws.
    @discardableResult
    public func command(_ words: [String]) throws -> Reply {
        let reply = try exchange(words)
        if case .error(let text) = reply { throw Refusal(description: text) }
        return reply
    }

    @discardableResult
    public func callAsFunction(_ words: String...) throws -> Reply { try command(words) }

    /// One command and its reply, whatever it is.
    public func exchange(_ words: [String]) throws -> Reply {
        var bytes = Array("*\(words.count)\r\n".utf8)
        for word in words { bytes += Array("$\(word.utf8.count)\r\n\(word)\r\n".utf8) }
        try socket.send(bytes)
        return try readReply()
    }

    /// The next reply, or message of a subscription.
    public func readReply() throws -> Reply {
        let line = try socket.readLine()
        let rest = String(line.dropFirst())
        switch line.first {
        case "+": return .text(rest)
        case "-": return .error(rest)
        case ":": return .integer(Int(rest) ?? 0)
        case "$":
            guard let count = Int(rest), count >= 0 else { return .null }
            let bytes = try socket.read(count)
            _ = try socket.readLine()
            return .text(String(decoding: bytes, as: UTF8.self))
        case "*":
            guard let count = Int(rest), count >= 0 else { return .null }
            return .array(try (0..<count).map { _ in try readReply() })
        default: throw SetUpFailure("Redis said \(line)")
        }
    }
}
