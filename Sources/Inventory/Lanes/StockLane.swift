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
    let redis: RedisClient
    /// On a cluster: the node whose slots it serves.
    let node: Int?
    var connection: ExclusiveConnection
    /// How often the connection has been made: what was watched on an earlier one is watched no more.
    private(set) var connections = 0
    /// On a cluster: the SKU in whose slot the connection is.
    var served: SKU?
    let commit: GroupCommit
    /// Where what is due is noted.
    let directory: LaneDirectory
    let reads = CommitCommands()
    /// Steps for a transaction, and those that only a script can do.
    var waiting: [StockTicket] = []
    var scripted: [StockTicket] = []
    /// Those for a script that goes wherever the slot is, by the loop's client; and those that rest before another attempt.
    var routed: [StockTicket] = []
    private var resting: [StockTicket] = []
    /// SKUs that a call by the loop's client is at.
    var underWay: Set<SKU> = []
    /// Those whose call rests: what came after it stays behind it.
    var restingCalls: Set<SKU> = []
    private var restTimer: LoopTimer?
    private(set) var lastUsedUs: Int64 = 0
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
    /// Takes steps whose slot is at another node now.
    var onMoved: (([StockTicket]) -> Void)?

    static let mostSteps = 256
    static let mostConflicts = 3
    static let contestedUs: Int64 = 50_000
    static let replyBudgetUs: Int64 = 2_000_000
    private static let restUs: Int64 = 20_000
    /// What was judged longer ago is judged anew.
    static let mostAheadUs: Int64 = 50_000

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

    /// - Parameter first: on a cluster, a SKU of the node that the lane is for.
    init(
        context: ServiceContext, keys: StockKeys, counters: StockCounters, directory: LaneDirectory, first: SKU? = nil
    ) {
        self.directory = directory
        loop = context.loop
        redis = context.redis
        self.keys = keys
        self.counters = counters
        commit = GroupCommit(keys: keys)
        node = first.map { context.redis.node(of: $0) }
        served = first
        connection = StockLane.connect(context.redis, first, keys)
        deadlines = LoopTimer(loop: loop) { [unowned self] in passDeadlines() }
        restTimer = LoopTimer(loop: loop) { [unowned self] in endRest() }
    }

    func start() {
        connection.onReady = { [weak self] in
            guard let self else { return }
            connections += 1
            mustUnwatch = false
            readAhead = nil
            pump()
        }
        connection.start()
    }

    func close() {
        connection.close()
        for ticket in tickets { ticket.answer(.failed(RedisError.unavailable)) }
        waiting = []
        scripted = []
        routed = []
        resting = []
    }

    private var tickets: [StockTicket] { waiting + scripted + routed + resting }

    /// Whether nothing waits or is under way.
    var isIdle: Bool { !isBusy && underWay.isEmpty && tickets.isEmpty }

    func add(_ ticket: StockTicket) {
        if node != nil { lastUsedUs = loop.nowUs }
        if isForScript(ticket) { leaveToScript(ticket) } else { waiting.append(ticket) }
    }

    /// A script goes by the lane's connection, in turn with the transactions; where the slot is or may be elsewhere, by the
    /// loop's client, which finds it.
    func leaveToScript(_ ticket: StockTicket) {
        if isRouted(ticket) { routed.append(ticket) } else { scripted.append(ticket) }
    }

    private func isRouted(_ ticket: StockTicket) -> Bool { node != nil || ticket.wasElsewhere }

    private func isForScript(_ ticket: StockTicket) -> Bool {
        switch ticket.step {
        case .scripted, .sweep: return true
        case .reserve, .confirm, .cancel: break
        }
        if usesScriptsOnly || ticket.isUncertain || ticket.wasElsewhere || ticket.conflicts >= StockLane.mostConflicts {
            return true
        }
        guard let untilUs = contested[ticket.sku] else { return false }
        if untilUs > loop.nowUs { return true }
        contested[ticket.sku] = nil
        return false
    }

    // MARK: Turns

    /// Begins what waits, unless something is under way.
    func pump() {
        if !routed.isEmpty {
            watchDeadlines()
            runRouted()
        }
        guard !isBusy, !(waiting.isEmpty && scripted.isEmpty) else { return }
        watchDeadlines()
        if let node, !staysAt(node) { return }
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
        let scripts = tickets.filter { isForScript($0) }
        scripted.insert(contentsOf: scripts.filter { !isRouted($0) }, at: 0)
        routed.insert(contentsOf: scripts.filter { isRouted($0) }, at: 0)
    }

    /// The same after a while.
    func rest(_ tickets: [StockTicket]) {
        if resting.isEmpty { restTimer?.start(afterUs: StockLane.restUs) }
        resting.append(contentsOf: tickets)
        watchDeadlines()
    }

    private func endRest() {
        let tickets = resting
        resting = []
        underWay.subtract(restingCalls)
        restingCalls = []
        retry(tickets)
        pump()
    }

    /// Nothing was done, as the slot or the mastership is elsewhere or on the move: the loop's client follows it.
    func sendElsewhere(_ tickets: [StockTicket]) {
        for ticket in tickets {
            ticket.wasElsewhere = true
            contested[ticket.sku] = loop.nowUs + StockLane.contestedUs
            leaveToScript(ticket)
        }
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
        let late = tickets.filter { $0.deadlineUs <= nowUs }
        if !late.isEmpty {
            waiting.removeAll { $0.deadlineUs <= nowUs }
            scripted.removeAll { $0.deadlineUs <= nowUs }
            routed.removeAll { $0.deadlineUs <= nowUs }
            resting.removeAll { $0.deadlineUs <= nowUs }
        }
        for ticket in late {
            let doubt = ticket.isUncertain ? "; the request may have taken effect" : "; nothing was changed"
            ticket.answer(.failed(Problem(.unavailable, "the store did not answer in time\(doubt)", retryAfterS: 1)))
        }
        if !tickets.isEmpty { watchDeadlines() }
        // The slots of a node that is gone are at another one by now.
        if node != nil { pump() }
    }
}
