import Bytes
import EventLoops
import TestSupport

@testable import Redis

/// A client on a loop and thread of its own.
typealias Client = OnLoop<RedisClient>

extension OnLoop<RedisClient> {
    /// A client that is started; it need not be connected yet.
    static func start(
        _ url: String, scripts: [Script] = [], on thread: LoopThread = LoopThread(),
        configure: @Sendable (inout RedisConfiguration) -> Void = { _ in }
    ) async throws -> Client {
        var configuration = try RedisConfiguration(url: url)
        configure(&configuration)
        let client = await Client(thread) { [configuration] loop in
            RedisClient(loop: loop, configuration: configuration, scripts: scripts)
        }
        try await client.run { $0.start() }
        return client
    }

    /// A client that is connected.
    static func connect(
        _ url: String, scripts: [Script] = [], configure: @Sendable (inout RedisConfiguration) -> Void = { _ in }
    ) async throws -> Client {
        let client = try await start(url, scripts: scripts, configure: configure)
        guard await client.isReady(within: longestWaitUs) else {
            let error = try await client.run { $0.lastError }
            throw SetUpFailure("no connection to \(url): \(error.map { "\($0)" } ?? "no reason")")
        }
        return client
    }

    func isReady(within timeoutUs: Int64) async -> Bool {
        (try? await run { await $0.whenReady(timeoutUs: timeoutUs) }) ?? false
    }

    func send(_ words: String..., budgetUs: Int64 = longestWaitUs) async throws -> RedisReply {
        try await run { try await $0.send(words, key: words.last ?? "", budgetUs: budgetUs) }
    }

    /// The id by which Redis knows the client's pipelined connection.
    func connectionID() async throws -> String { String(try await send("CLIENT", "ID").int ?? 0) }
}

/// What became of calls, in the order in which they were completed.
typealias Outcomes = Journal<Outcome>

struct Outcome: Sendable, Equatable {
    let number: Int
    let result: Result<RedisReply, RedisError>
}

/// A call of the hot path that notes how it was completed.
final class NotedCall: RedisCall {
    private let number: Int
    private let words: [String]
    private let script: Script?
    private let outcomes: Outcomes
    private(set) var encodings = 0

    init(_ number: Int, _ words: [String], script: Script? = nil, _ outcomes: Outcomes) {
        self.number = number
        self.words = words
        self.script = script
        self.outcomes = outcomes
    }

    var route: RedisRoute { .any }

    func encode(to writer: RESPWriter) {
        encodings += 1
        if let script {
            writer.script(script, keyCount: 0, argumentCount: words.count)
        } else {
            writer.command(words.count)
        }
        for word in words { writer.argument(word) }
    }

    func completed(_ result: Result<ReplyView, RedisError>) {
        outcomes.add(Outcome(number: number, result: result.map(\.copy)))
    }
}

extension Script {
    convenience init(_ name: String, _ text: String) { self.init(name: name, source: Array(text.utf8)) }
}
