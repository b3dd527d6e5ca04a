import Bytes

/// A command that is built from its words and answered with a copy of the reply: for everything that is not hot.
final class CommandCall: RedisCall {
    private let words: [[UInt8]]
    private let script: (script: Script, keyCount: Int)?
    private let keyIndex: Int?
    private let then: (Result<RedisReply, RedisError>) -> Void

    init(_ words: [[UInt8]], key: String? = nil, then: @escaping (Result<RedisReply, RedisError>) -> Void) {
        self.words = words
        script = nil
        keyIndex = nil
        self.then = then
    }

    convenience init(_ words: [String], then: @escaping (Result<RedisReply, RedisError>) -> Void) {
        self.init(words.map { [UInt8]($0.utf8) }, then: then)
    }

    init(
        _ script: Script, keys: [String], arguments: [String], then: @escaping (Result<RedisReply, RedisError>) -> Void
    ) {
        words = (keys + arguments).map { [UInt8]($0.utf8) }
        self.script = (script, keys.count)
        keyIndex = keys.isEmpty ? nil : 0
        self.then = then
    }

    var route: RedisRoute { .any }

    func encode(to writer: RESPWriter) {
        if let script {
            writer.script(script.script, keyCount: script.keyCount, argumentCount: words.count - script.keyCount)
        } else {
            writer.command(words.count)
        }
        for word in words { writer.argument(word) }
    }

    func completed(_ result: Result<ReplyView, RedisError>) { then(result.map(\.copy)) }

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
