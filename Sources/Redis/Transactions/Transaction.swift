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
    private let link: RedisLink
    private let loop: EventLoop
    private let deadlineUs: Int64
    private var queued: [[String]] = []
    private var isWatching = false
    private var isExecuted = false
    /// What went wrong first. The connection is cut after it, and nothing is executed.
    private var failure: RedisError?

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
            failure = failure ?? error
            throw error
        }
    }

    /// Commands that are performed one after the other, sent in one write; each has a reply or an error of its own.
    public func sendAll(_ commands: [[String]]) async -> [Result<RedisReply, RedisError>] {
        await withUnsafeContinuation { continuation in
            var results: [Result<RedisReply, RedisError>] = []
            for words in commands {
                let call = CommandCall(words) { [self] result in
                    results.append(result)
                    // What a server refuses leaves the connection as it was.
                    if case .failure(let error) = result {
                        if case .server = error {} else { failure = failure ?? error }
                    }
                    if results.count == commands.count { continuation.resume(returning: results) }
                }
                link.send(call, deadlineUs: deadlineUs)
            }
        }
    }

    /// A command that EXEC performs.
    public func queue(_ words: [String]) { queued.append(words) }

    /// Sends MULTI, what was queued and EXEC in one write.
    public func exec() async -> ExecOutcome {
        precondition(!isExecuted, "a transaction is executed once")
        isExecuted = true
        // A watch that may not stand must not be relied on.
        if let failure { return .rejected(failure) }
        let replies = Replies(count: queued.count + 2)
        let result: Result<RedisReply, RedisError> = await withUnsafeContinuation { continuation in
            replies.finished = { continuation.resume(returning: $0) }
            for words in [["MULTI"]] + queued + [["EXEC"]] {
                link.send(CommandCall(words, then: replies.receive), deadlineUs: deadlineUs)
            }
        }
        switch result {
        case .success(.array(let elements)): return .done(elements)
        case .success(.null): return .conflict
        case .failure(let error):
            failure = error
            // Where MULTI itself was refused, the queued commands were performed one by one.
            guard !error.mayHaveRun, !replies.hasRunOutside else { return .unknown }
            return .rejected(replies.firstRefusal ?? error)
        case .success(let reply):
            failure = .unexpectedReply("EXEC: \(reply)")
            return .unknown
        }
    }

    /// Ends the watch, if there is one, and says whether the connection may serve another transaction.
    func isReusable() async -> Bool {
        if failure == nil, isWatching, !isExecuted { _ = try? await send(["UNWATCH"]) }
        return failure == nil
    }

    /// Gathers the replies of MULTI, the queued commands and EXEC; the last one is the outcome.
    private final class Replies {
        private var missing: Int
        private let count: Int
        private(set) var firstRefusal: RedisError?
        /// Whether a command was performed instead of queued.
        private(set) var hasRunOutside = false
        var finished: ((Result<RedisReply, RedisError>) -> Void)?

        init(count: Int) {
            self.count = count
            missing = count
        }

        func receive(_ result: Result<RedisReply, RedisError>) {
            let isQueued = missing < count && missing > 1
            missing -= 1
            switch result {
            case .failure(let error): if missing > 0, firstRefusal == nil { firstRefusal = error }
            case .success(let reply): if isQueued, reply != .status("QUEUED") { hasRunOutside = true }
            }
            if missing == 0 { finished?(result) }
        }
    }
}
