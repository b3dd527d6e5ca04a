import Bytes

/// A command that is built from its words and answered with a copy of the reply: for everything that is not hot.
final class CommandCall: RedisCall {
    private let words: [[UInt8]]
    private let script: (script: Script, keyCount: Int)?
    /// By which a topology picks the connection. A buffer, because its bytes stay where they are.
    private let key: ByteBuffer?
    private let then: (Result<RedisReply, RedisError>) -> Void
    /// The run id of the server that it was sent to last: once it is answered, of the one that answered.
    private(set) var server = ""

    init(_ words: [String], key: String? = nil, then: @escaping (Result<RedisReply, RedisError>) -> Void) {
        self.words = words.map { [UInt8]($0.utf8) }
        script = nil
        self.key = CommandCall.kept(key)
        self.then = then
    }

    init(
        _ script: Script, keys: [String], arguments: [String], then: @escaping (Result<RedisReply, RedisError>) -> Void
    ) {
        words = (keys + arguments).map { [UInt8]($0.utf8) }
        self.script = (script, keys.count)
        key = CommandCall.kept(keys.first)
        self.then = then
    }

    var route: RedisRoute { key.map { .key($0.view) } ?? .any }

    func encode(to writer: RESPWriter) {
        server = writer.server
        if let script {
            writer.script(script.script, keyCount: script.keyCount, argumentCount: words.count - script.keyCount)
        } else {
            writer.command(words.count)
        }
        for word in words { writer.argument(word) }
    }

    func completed(_ result: Result<ReplyView, RedisError>) { then(result.map(\.copy)) }

    private static func kept(_ key: String?) -> ByteBuffer? {
        guard let key else { return nil }
        let buffer = ByteBuffer(capacity: key.utf8.count)
        buffer.append(key)
        return buffer
    }

    /// Suspends until the call that `start` makes is answered.
    static func reply(
        _ start: (@escaping (Result<RedisReply, RedisError>) -> Void) -> Void
    ) async throws(RedisError) -> RedisReply {
        let result = await withUnsafeContinuation {
            (continuation: UnsafeContinuation<Result<RedisReply, RedisError>, Never>) in
            start { continuation.resume(returning: $0) }
        }
        return try result.get()
    }
}
