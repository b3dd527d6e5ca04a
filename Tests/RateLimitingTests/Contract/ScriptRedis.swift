import Bytes
import EventLoops
import Redis
import TestSupport

@testable import RateLimiting

/// A command, or the call of a script.
struct RedisStep: Sendable {
    var script: Script?
    var keys: [String] = []
    var words: [String]

    static func command(_ words: String...) -> RedisStep { RedisStep(words: words) }
}

/// The suite's way to the shared Redis: many steps in one round trip, answered in order.
final class ScriptRedis: Sendable {
    private let thread = LoopThread("contract")
    private let client: LoopBound<RedisClient>

    private static let connected = Task {
        let redis = try await ScriptRedis(RedisServer.shared)
        guard await redis.isReady else { throw SetUpFailure("the shared Redis is not ready") }
        return redis
    }

    static var shared: ScriptRedis { get async throws { try await connected.value } }

    private init(_ server: RedisServer) async throws {
        let configuration = try RedisConfiguration(url: server.lookingURL)
        client = await thread.run {
            let loop = EventLoop.current!
            let client = RedisClient(loop: loop, configuration: configuration, scripts: RateLimitScripts.all)
            client.start()
            return LoopBound(client, loop: loop)
        }
    }

    private var isReady: Bool {
        get async { await thread.run { [client] in await client.value.whenReady(timeoutUs: longestWaitUs) } }
    }

    /// Runs the steps in order and answers with their replies.
    func run(_ steps: [RedisStep]) async throws -> [RedisReply] {
        let results = await thread.run { [client] in
            await suspend { (finish: @escaping ([Result<RedisReply, RedisError>]) -> Void) in
                guard !steps.isEmpty else { return finish([]) }
                let run = Run(count: steps.count, finish: finish)
                for step in steps {
                    client.value.submit(StepCall(step, run), budgetUs: longestWaitUs)
                }
            }
        }
        return try results.map { try $0.get() }
    }

    func run(_ step: RedisStep) async throws -> RedisReply { try await run([step])[0] }

    /// The reply of a command as a number.
    func number(_ words: String...) async throws -> Int {
        guard let number = try await run(RedisStep(words: words)).int else { throw SetUpFailure("\(words): no number") }
        return number
    }

    /// The reply of a command as text.
    func text(_ words: String...) async throws -> String? { try await run(RedisStep(words: words)).string }

    // MARK: The scripts

    func check(_ calls: [CheckCall]) async throws -> [CheckReply] {
        let replies = try await run(calls.map(\.step))
        return try zip(calls, replies).map { try CheckReply($1, $0) }
    }

    func check(_ call: CheckCall) async throws -> CheckReply { try await check([call])[0] }

    /// One request of one subject under one rule.
    func check(
        _ rule: ScriptRule, _ key: String, nowUs: Int, cost: Int = 1, isPeek: Bool = false
    ) async throws -> ScriptOutcome {
        try await check(CheckCall(rule, key, nowUs: nowUs, costs: [cost], isPeek: isPeek)).outcomes[0]
    }

    /// The refund script's answer: word, remaining.
    func refund(
        _ rule: ScriptRule, _ key: String, nowUs: Int, amount: Int, receiptUs: Int? = nil
    ) async throws -> (word: String, remaining: Int) {
        let reply = try await run(.refund(rule, key, nowUs: nowUs, amount: amount, receiptUs: receiptUs))
        guard case .array(let parts) = reply, parts.count == 2, let word = parts[0].string, let remaining = parts[1].int
        else { throw SetUpFailure("refund answered \(reply)") }
        return (word, remaining)
    }
}

/// Replies of one run, as they come.
private final class Run {
    private var results: [Result<RedisReply, RedisError>] = []
    private let count: Int
    private let finish: ([Result<RedisReply, RedisError>]) -> Void

    init(count: Int, finish: @escaping ([Result<RedisReply, RedisError>]) -> Void) {
        self.count = count
        self.finish = finish
    }

    func add(_ result: Result<RedisReply, RedisError>) {
        results.append(result)
        if results.count == count { finish(results) }
    }
}

private final class StepCall: RedisCall {
    private let step: RedisStep
    private let run: Run

    init(_ step: RedisStep, _ run: Run) {
        self.step = step
        self.run = run
    }

    var route: RedisRoute { .any }

    func encode(to writer: RESPWriter) {
        if let script = step.script {
            writer.script(script, keyCount: step.keys.count, argumentCount: step.words.count)
        } else {
            writer.command(step.words.count)
        }
        for word in step.keys + step.words { writer.argument(word) }
    }

    func completed(_ result: Result<ReplyView, RedisError>) { run.add(result.map(\.copy)) }
}
