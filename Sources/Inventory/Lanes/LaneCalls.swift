import Bytes
import Redis

/// Commands that are sent together on a lane's connection, and answered one by one.
final class LaneCalls: RedisCall {
    private let commands: CommitCommands
    private let heard: (Int, Result<ReplyView, RedisError>) -> Void
    private var encoded = 0
    private var answered = 0

    /// - Parameter heard: called with each command's place and its reply.
    init(_ commands: CommitCommands, heard: @escaping (Int, Result<ReplyView, RedisError>) -> Void) {
        self.commands = commands
        self.heard = heard
    }

    var route: RedisRoute { .any }

    func send(on connection: ExclusiveConnection, budgetUs: Int64) {
        for _ in 0..<commands.count { connection.submit(self, budgetUs: budgetUs) }
    }

    func encode(to writer: RESPWriter) {
        writer.raw(commands.command(at: encoded))
        encoded += 1
    }

    func completed(_ result: Result<ReplyView, RedisError>) {
        let place = answered
        answered += 1
        heard(place, result)
    }
}
