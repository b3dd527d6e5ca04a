import Bytes
import EventLoops
import Redis
import Services

/// What is done to a part of all SKUs, one transaction after the other on a connection of its own. So this process never
/// conflicts with itself, and everything that waits goes into one transaction (group commit).
final class StockLane {
    let loop: EventLoop
    let keys: StockKeys
    let counters: StockCounters
    let connection: ExclusiveConnection
    let commit: GroupCommit
    let reads = CommitCommands()
    /// Steps for a transaction, and those that only a script can do.
    var waiting: [StockTicket] = []
    var scripted: [StockTicket] = []
    private var isBusy = false
    private var isTurnOfScripts = false
    var mustUnwatch = false
    private var deadlines: LoopTimer?
    private var areDeadlinesWatched = false
    /// SKUs that other processes are at, too: scripts take them on without conflicts until then (loop's clock).
    var contested: [SKU: Int64] = [:]
    /// A given time in ms, for tests.
    var givenNowMs: Int?
    /// Everything by scripts, for tests.
    var usesScriptsOnly = false
    var onOutbox: ((SKU) -> Void)?

    static let mostSteps = 256
    static let mostConflicts = 3
    static let contestedUs: Int64 = 50_000
    static let replyBudgetUs: Int64 = 2_000_000

    /// The steps of a transaction, and where each one's SKU and hold are among what is read.
    struct Batch {
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
        /// Whether the SKUs were read before the steps arrived: then nothing may be refused by it.
        var isReadAhead = false
    }

    var batch = Batch()

    /// SKUs that were watched and read right behind a transaction, in the same write, for the next one.
    struct ReadAhead {
        var states: [SKU: StockState] = [:]
        var nowMs = 0
        var atUs: Int64 = 0
    }

    var readAhead: ReadAhead?
    /// What has become of the steps of the transaction that has just ended.
    var done: [(StockTicket, StockAnswer)] = []
    static let readAheadUs: Int64 = 2000
    static let mostReadAhead = 2

    init(context: ServiceContext, keys: StockKeys, counters: StockCounters) {
        loop = context.loop
        self.keys = keys
        self.counters = counters
        commit = GroupCommit(keys: keys)
        connection = ExclusiveConnection(of: context.redis, scripts: InventoryScripts.all)
        connection.onReady = { [weak self] in
            self?.mustUnwatch = false
            self?.readAhead = nil
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

    /// A script of our own changes what was read.
    func forgetReadAhead() { readAhead = nil }

    /// Takes back steps for another attempt.
    func retry(_ tickets: [StockTicket]) {
        waiting.insert(contentsOf: tickets.filter { !isForScript($0) }, at: 0)
        scripted.insert(contentsOf: tickets.filter { isForScript($0) }, at: 0)
    }

    /// Whatever was under way on the connection is in doubt; a new one knows nothing of it.
    func cut() {
        mustUnwatch = false
        readAhead = nil
        connection.cut()
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
