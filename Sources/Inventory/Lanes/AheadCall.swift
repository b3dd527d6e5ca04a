import Bytes
import Redis

/// A command that is to be done before others, wherever the slot of its key is.
final class AheadCall: RedisCall {
    /// Buffers, because their bytes stay where they are, for as many attempts as it takes.
    private let command: ByteBuffer
    private let key: ByteBuffer
    private let then: (RedisError?) -> Void

    private init(_ command: ByteView, key: ByteView, then: @escaping (RedisError?) -> Void) {
        self.command = ByteBuffer(capacity: command.count)
        self.key = ByteBuffer(capacity: key.count)
        self.command.append(command)
        self.key.append(key)
        self.then = then
    }

    /// Sends commands at once, each to its node, and calls `then` when all are answered: with the first error, if any.
    static func send(
        _ commands: CommitCommands, by redis: RedisClient, budgetUs: Int64, then: @escaping (RedisError?) -> Void
    ) {
        var missing = commands.count
        if missing == 0 { return then(nil) }
        var failure: RedisError?
        let calls = (0..<commands.count).map { place in
            AheadCall(commands.command(at: place), key: commands.key(at: place)) { error in
                failure = failure ?? error
                missing -= 1
                if missing == 0 { then(failure) }
            }
        }
        for call in calls { redis.submit(call, budgetUs: budgetUs) }
    }

    var route: RedisRoute { .key(key.view) }

    func encode(to writer: RESPWriter) { writer.raw(command.view) }

    func completed(_ result: Result<ReplyView, RedisError>) {
        if case .failure(let error) = result { then(error) } else { then(nil) }
    }
}
