import EventLoops

/// How EXEC ended. The four are never confused.
public enum ExecOutcome: Sendable, Equatable {
    /// Everything was done; the replies of the queued commands.
    case done([RedisReply])
    /// A watched key had changed; nothing was done.
    case conflict
    /// Redis refused the transaction; nothing was done.
    case rejected(RedisError)
    /// The connection was lost or silent after EXEC was sent: it may have been done. Look for the effect; never repeat
    /// blindly.
    case unknown
}

/// A transaction on a connection of its own: WATCH, reads, then queued writes that EXEC performs all or not at all.
public final class Transaction {
    private enum State { case open, ended, broken }

    private let link: RedisLink
    private let loop: EventLoop
    private let deadlineUs: Int64
    private var queued: [[String]] = []
    private var isWatching = false
    private var state = State.open

    init(_ link: RedisLink, loop: EventLoop, deadlineUs: Int64) {
        self.link = link
        self.loop = loop
        self.deadlineUs = deadlineUs
    }

    /// EXEC will do nothing if any of `keys` changes from now on.
    public func watch(_ keys: [String]) async throws(RedisError) {
        isWatching = true
        _ = try await send(["WATCH"] + keys)
    }

    /// A command that is performed at once, between WATCH and EXEC.
    public func send(_ words: [String]) async throws(RedisError) -> RedisReply {
        do {
            return try await CommandCall.reply { link.send(CommandCall(words, then: $0), deadlineUs: deadlineUs) }
        } catch {
            if case .server = error {} else { state = .broken }
            throw error
        }
    }

    /// A command that EXEC performs.
    public func queue(_ words: [String]) { queued.append(words) }

    /// Sends MULTI, what was queued and EXEC in one write.
    public func exec() async -> ExecOutcome {
        precondition(state == .open, "a transaction is executed once")
        state = .broken
        let replies = Replies(count: queued.count + 2)
        let result: Result<RedisReply, RedisError> = await withUnsafeContinuation { continuation in
            replies.finished = { continuation.resume(returning: $0) }
            for words in [["MULTI"]] + queued + [["EXEC"]] {
                link.send(CommandCall(words, then: replies.receive), deadlineUs: deadlineUs)
            }
        }
        switch result {
        case .success(.array(let elements)):
            state = .ended
            return .done(elements)
        case .success(.null):
            state = .ended
            return .conflict
        case .failure(let error) where !error.mayHaveRun:
            // EXECABORT, or a server that refused EXEC: nothing was done. A connection that was gone before is cut.
            if case .server = error { state = .ended }
            return .rejected(replies.firstRefusal ?? error)
        case .success, .failure: return .unknown
        }
    }

    /// Ends the watch, if there is one, and says whether the connection may serve another transaction.
    func isReusable() async -> Bool {
        if state == .open, isWatching {
            guard (try? await send(["UNWATCH"])) != nil else { return false }
        }
        return state != .broken
    }

    /// Gathers the replies of MULTI, the queued commands and EXEC; the last one is the outcome.
    private final class Replies {
        private var missing: Int
        private(set) var firstRefusal: RedisError?
        var finished: ((Result<RedisReply, RedisError>) -> Void)?

        init(count: Int) { missing = count }

        func receive(_ result: Result<RedisReply, RedisError>) {
            missing -= 1
            if missing > 0, firstRefusal == nil, case .failure(let error) = result, case .server = error {
                firstRefusal = error
            }
            if missing == 0 { finished?(result) }
        }
    }
}

/// Connections for transactions: leased exclusively, kept for the next when they were given back clean.
final class TransactionPool {
    private let loop: EventLoop
    private let configuration: RedisConfiguration
    private var idle: [RedisConnector] = []
    private static let mostIdle = 16

    init(loop: EventLoop, configuration: RedisConfiguration) {
        self.loop = loop
        self.configuration = configuration
    }

    func lease(budgetUs: Int64) async throws(RedisError) -> RedisConnector {
        while let connector = idle.popLast() {
            if connector.link != nil { return connector }
            connector.close()
        }
        let connector = RedisConnector(loop: loop, configuration: configuration) { _ in }
        connector.start()
        guard await connector.whenReady(timeoutUs: budgetUs) != nil else {
            connector.close()
            throw .unavailable
        }
        return connector
    }

    func giveBack(_ connector: RedisConnector) {
        if idle.count < TransactionPool.mostIdle { idle.append(connector) } else { connector.close() }
    }

    func close() {
        for connector in idle { connector.close() }
        idle = []
    }
}
