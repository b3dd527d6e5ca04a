import Bytes
import EventLoops
import Redis
import Services

/// What is done to a part of all SKUs, one transaction after the other on a connection of its own. So this process never
/// conflicts with itself, and everything that waits goes into one transaction (group commit).
final class StockLane {
    private let loop: EventLoop
    let keys: StockKeys
    let counters: StockCounters
    let connection: ExclusiveConnection
    private let commit: GroupCommit
    private let reads = CommitCommands()
    /// Steps for a transaction, and those that only a script can do.
    var waiting: [StockTicket] = []
    var scripted: [StockTicket] = []
    private var isBusy = false
    var isUnderWay: Bool { isBusy }
    private var isTurnOfScripts = false
    private var mustUnwatch = false
    private var deadlines: LoopTimer?
    private var areDeadlinesWatched = false
    /// SKUs that other processes are at, too: scripts take them on without conflicts until then (loop's clock).
    private var contested: [SKU: Int64] = [:]
    /// A given time in ms, for tests.
    var givenNowMs: Int?
    /// Everything by scripts, for tests.
    var usesScriptsOnly = false
    var onOutbox: ((SKU) -> Void)?

    static let mostSteps = 256
    static let mostConflicts = 3
    private static let contestedUs: Int64 = 50_000
    static let replyBudgetUs: Int64 = 2_000_000

    init(context: ServiceContext, keys: StockKeys, counters: StockCounters) {
        loop = context.loop
        self.keys = keys
        self.counters = counters
        commit = GroupCommit(keys: keys)
        connection = ExclusiveConnection(
            loop: context.loop, configuration: context.process.redis, scripts: InventoryScripts.all)
        connection.onReady = { [weak self] in
            self?.mustUnwatch = false
            self?.pump()
        }
        deadlines = LoopTimer(loop: loop) { [unowned self] in passDeadlines() }
    }

    func start() { connection.start() }

    func close() {
        connection.close()
        for ticket in waiting + scripted { ticket.answer(.failed(RedisError.unavailable)) }
        waiting = []
        scripted = []
    }

    func add(_ ticket: StockTicket) {
        if isForScript(ticket) { scripted.append(ticket) } else { waiting.append(ticket) }
    }

    private func isForScript(_ ticket: StockTicket) -> Bool {
        switch ticket.step {
        case .scripted, .sweep: return true
        case .reserve, .confirm, .cancel: break
        }
        if usesScriptsOnly || ticket.isUncertain || ticket.conflicts >= StockLane.mostConflicts { return true }
        guard let untilUs = contested[ticket.sku] else { return false }
        if untilUs > loop.nowUs { return true }
        contested[ticket.sku] = nil
        return false
    }

    // MARK: Turns

    /// Begins what waits, unless something is under way.
    func pump() {
        guard !isBusy, !(waiting.isEmpty && scripted.isEmpty) else { return }
        watchDeadlines()
        guard connection.isReady else { return }
        isBusy = true
        // In turns, so that neither keeps the other waiting.
        if scripted.isEmpty || (!isTurnOfScripts && !waiting.isEmpty) {
            isTurnOfScripts = true
            readSubjects()
        } else {
            isTurnOfScripts = false
            runScripts()
        }
    }

    func turnEnded() {
        isBusy = false
        pump()
    }

    /// Takes back steps for another attempt.
    func retry(_ tickets: [StockTicket]) {
        waiting.insert(contentsOf: tickets.filter { !isForScript($0) }, at: 0)
        scripted.insert(contentsOf: tickets.filter { isForScript($0) }, at: 0)
    }

    /// Whatever was under way on the connection is in doubt; a new one knows nothing of it.
    func cut() {
        mustUnwatch = false
        connection.cut()
    }

    // MARK: A transaction

    /// The steps of a transaction, and where each one's SKU and hold are among what is read.
    private struct Batch {
        struct Entry {
            let ticket: StockTicket
            let subject: Int
            let hold: Int?
        }

        var entries: [Entry] = []
        var skus: [SKU] = []
        var places: [SKU: Int] = [:]
        var suffixes: [(sku: SKU, suffix: String)] = []
        var holds: [Hold?] = []
        var states: [StockState] = []
        var nowMs = 0
        var failure: RedisError?
    }

    private var batch = Batch()

    private func readSubjects() {
        var taken = Array(waiting.prefix(StockLane.mostSteps))
        waiting.removeFirst(taken.count)
        // Those with priority are served first; a stable order otherwise.
        if taken.contains(where: { $0.priority > 0 }) {
            taken = taken.enumerated().sorted { ($1.element.priority, $0.offset) < ($0.element.priority, $1.offset) }
                .map(\.element)
        }
        batch = Batch()
        var later: [StockTicket] = []
        var named: Set<String> = []
        for ticket in taken {
            let suffix = ticket.step.suffix ?? ""
            // The second step on one hold is to see what the first one did.
            guard named.insert(suffix).inserted else {
                later.append(ticket)
                continue
            }
            let subject = place(of: ticket.sku)
            var hold: Int?
            if ticket.mayMeetItsHold {
                hold = batch.suffixes.count
                batch.suffixes.append((ticket.sku, suffix))
            }
            batch.entries.append(Batch.Entry(ticket: ticket, subject: subject, hold: hold))
        }
        waiting.insert(contentsOf: later, at: 0)
        sendReads()
    }

    private func place(of sku: SKU) -> Int {
        // Most batches are about one SKU.
        if batch.skus.last == sku { return batch.skus.count - 1 }
        if let known = batch.places[sku] { return known }
        batch.places[sku] = batch.skus.count
        batch.skus.append(sku)
        return batch.skus.count - 1
    }

    private func sendReads() {
        reads.removeAll()
        if mustUnwatch { reads.add("UNWATCH") }
        let first = reads.count
        reads.writer.command(1 + batch.skus.count)
        reads.writer.argument("WATCH" as StaticString)
        for sku in batch.skus { reads.writer.argument(keys.stock(sku)) }
        reads.end()
        reads.add("TIME")
        for sku in batch.skus {
            reads.writer.command(2)
            reads.writer.argument("HGETALL" as StaticString)
            reads.writer.argument(keys.stock(sku))
            reads.end()
        }
        for (sku, suffix) in batch.suffixes {
            reads.writer.command(2)
            reads.writer.argument("HGETALL" as StaticString)
            reads.writer.argument(keys.reservation(sku, suffix))
            reads.end()
        }
        let last = reads.count - 1
        mustUnwatch = true
        LaneCalls(reads) { [unowned self] place, result in
            heard(place - first, result)
            if place == last { judge() }
        }.send(on: connection, budgetUs: StockLane.replyBudgetUs)
    }

    /// - Parameter place: of a read; 0 is WATCH.
    private func heard(_ place: Int, _ result: Result<ReplyView, RedisError>) {
        let reply: ReplyView
        switch result {
        case .success(let value): reply = value
        case .failure(let error):
            batch.failure = batch.failure ?? error
            return
        }
        guard place > 0 else { return }
        if place == 1 {
            guard reply.count == 2 else { return }
            batch.nowMs = (reply[0].bytes.decimal ?? 0) * 1000 + (reply[1].bytes.decimal ?? 0) / 1000
        } else if place < 2 + batch.skus.count {
            batch.states.append(StockState(reply))
        } else {
            let suffix = batch.suffixes[place - 2 - batch.skus.count].suffix
            batch.holds.append(Hold(suffix: suffix, reply))
        }
    }

    private func judge() {
        if let failure = batch.failure { return fail(batch.entries.map(\.ticket), failure, mayBeDone: false) }
        commit.begin()
        commit.givenNowMs = givenNowMs
        commit.nowMs = givenNowMs ?? batch.nowMs
        for (sku, state) in zip(batch.skus, batch.states) { commit.add(sku, state) }
        var pending: [(StockTicket, StockAnswer)] = []
        pending.reserveCapacity(batch.entries.count)
        var answers: [(StockTicket, StockAnswer)] = []
        for entry in batch.entries {
            let hold = entry.hold.flatMap { batch.holds[$0] }
            switch commit.judge(entry.ticket.step, subject: entry.subject, hold: hold) {
            case .answer(let answer): answers.append((entry.ticket, answer))
            case .onceDone(let answer): pending.append((entry.ticket, answer))
            case .leave: scripted.append(entry.ticket)
            }
        }
        if pending.isEmpty { turnEnded() } else { send(pending) }
        for (ticket, answer) in answers { ticket.answer(answer) }
    }

    /// Sends the transaction in one write, and before it what it is found by.
    private func send(_ pending: [(StockTicket, StockAnswer)]) {
        commit.finish()
        if commit.ahead.count > 0 {
            LaneCalls(commit.ahead) { _, _ in }.send(on: connection, budgetUs: StockLane.replyBudgetUs)
        }
        counters.transactions.increment()
        counters.steps.increment(by: pending.count)
        let last = commit.commands.count - 1
        var refusal: RedisError?
        LaneCalls(commit.commands) { [unowned self] place, result in
            if place == last { return ended(pending, result, refusal) }
            if case .failure(let error) = result { refusal = refusal ?? error }
        }.send(on: connection, budgetUs: StockLane.replyBudgetUs)
    }

    private func ended(
        _ pending: [(StockTicket, StockAnswer)], _ result: Result<ReplyView, RedisError>, _ refusal: RedisError?
    ) {
        switch result {
        case .success(let reply) where !reply.isNull:
            mustUnwatch = false
            turnEnded()
            let broken = StockLane.firstError(reply)
            for (ticket, answer) in pending { ticket.answer(broken.map { .failed($0) } ?? answer) }
        case .success:
            mustUnwatch = false
            conflicted(pending.map(\.0))
        case .failure(let error):
            // The whole was refused before any of it was done, or nobody knows.
            let isRefused = if case .server(let code, _) = error { code == "EXECABORT" } else { false }
            if isRefused, refusal?.mayHaveRun != true {
                mustUnwatch = false
                scripted.append(contentsOf: pending.map(\.0))
                turnEnded()
            } else {
                fail(pending.map(\.0), error, mayBeDone: true)
            }
        }
    }

    /// A command that failed within a transaction that went on: a key holds something that is not ours.
    private static func firstError(_ reply: ReplyView) -> RedisError? {
        for i in 0..<reply.count where reply[i].isError {
            if case .error(let error) = reply[i].copy { return error }
        }
        return nil
    }

    private func conflicted(_ tickets: [StockTicket]) {
        counters.conflicts.increment()
        for ticket in tickets {
            ticket.conflicts += 1
            if ticket.conflicts == StockLane.mostConflicts {
                contested[ticket.sku] = loop.nowUs + StockLane.contestedUs
            }
        }
        retry(tickets)
        turnEnded()
    }

    /// Redis is away or said nothing in time. Steps are tried again until their deadlines; where one may have been done
    /// already, by a script, which finds it and changes the version, so that what is still on its way fails.
    func fail(_ tickets: [StockTicket], _ error: RedisError, mayBeDone: Bool) {
        if case .server = error, !mayBeDone {
            cut()
            for ticket in tickets { ticket.answer(.failed(error)) }
        } else {
            if mayBeDone { for ticket in tickets { ticket.isUncertain = true } }
            retry(tickets)
            cut()
        }
        isBusy = false
        watchDeadlines()
    }

    // MARK: Deadlines

    private func watchDeadlines() {
        guard !areDeadlinesWatched else { return }
        areDeadlinesWatched = true
        deadlines?.start(afterUs: 100_000)
    }

    private func passDeadlines() {
        areDeadlinesWatched = false
        let nowUs = loop.nowUs
        let late = (waiting + scripted).filter { $0.deadlineUs <= nowUs }
        if !late.isEmpty {
            waiting.removeAll { $0.deadlineUs <= nowUs }
            scripted.removeAll { $0.deadlineUs <= nowUs }
        }
        for ticket in late {
            let doubt = ticket.isUncertain ? "; the request may have taken effect" : "; nothing was changed"
            ticket.answer(.failed(Problem(.unavailable, "the store did not answer in time\(doubt)", retryAfterS: 1)))
        }
        if !(waiting.isEmpty && scripted.isEmpty) { watchDeadlines() }
    }
}

extension StockTicket {
    fileprivate var priority: Int { if case .reserve(let step) = step { step.priority } else { 0 } }

    /// Whether the hold that it names may be there.
    fileprivate var mayMeetItsHold: Bool {
        switch step {
        case .reserve(let step): step.request != nil || isUncertain
        default: true
        }
    }
}

extension Hold {
    /// - Parameter reply: of HGETALL.
    init?(suffix: String, _ reply: ReplyView) {
        guard reply.count > 0 else { return nil }
        var fields: [String: String] = [:]
        for i in stride(from: 0, to: reply.count - 1, by: 2) {
            fields[reply[i].bytes.string] = reply[i + 1].bytes.string
        }
        self.init(suffix: suffix, fields)
    }
}
