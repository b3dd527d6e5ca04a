import Bytes
import EventLoops
import Glibc
import Telemetry

/// Checks, jobs and reservations at a given rate, whatever becomes of the fleet meanwhile; stops its loop at the end.
/// Confined to that loop.
///
/// Every connection has one request under way. A request whose connection was lost, that was not answered in time or was
/// answered 503 is tried again under the same key, a bounded number of times; what it never heard of stays unknown.
final class MixedRun: ConnectionOwner {
    /// A connection with what is under way on it.
    final class Line {
        var connection: Connection!
        var ticket: Ticket?
    }

    private static let reopenUs: Int64 = 50_000
    private static let watchUs: Int64 = 50_000
    private static let firstPauseUs: Int64 = 20_000
    private static let longestPauseUs: Int64 = 500_000

    let loop: EventLoop
    let options: MixedOptions
    let requests: MixedRequests
    var record: RunRecord
    var random: SplitMix64
    let results: [RequestKind: KindResult]
    let seconds = SecondsLog()
    var faultLog = FaultLog()
    private(set) var startUs: Int64 = 0
    private(set) var durationUs: Int64 = 0
    private(set) var sendDelayP99Us: Int64 = 0
    /// Answers that should not be: the first ones in words.
    var unexpected: [String] = []
    var failure: String?

    private var lines: [ObjectIdentifier: Line] = [:]
    private var free = Ring<(line: Line, generation: Int)>(capacity: 256)
    private var waiting = Ring<Ticket>(capacity: 1024)
    private var schedule: OpenLoopSchedule!
    private var ticker: PreciseTimer?
    private var watchdog: LoopTimer?
    private var timers: [Int: LoopTimer] = [:]
    private var lastTimer = 0
    /// Requests that were begun and have no outcome yet, and faults that are being made.
    private var open = 0
    private var openFaults = 0
    /// Faults and ends of reservations whose moment has not come.
    var promised = 0
    private let sendDelay = Histogram()
    private let control: FleetControl?
    private var isOver = false

    init(loop: EventLoop, options: MixedOptions, record: RunRecord, control: FleetControl?) {
        self.loop = loop
        self.options = options
        self.record = record
        self.control = control
        requests = MixedRequests(options, run: record.head.run)
        random = SplitMix64(seed: options.seed)
        results = Dictionary(uniqueKeysWithValues: RequestKind.allCases.map { ($0, KindResult($0)) })
    }

    func start() {
        for _ in 0..<options.connections {
            let line = Line()
            line.connection = Connection(loop: loop, owner: self, address: options.target.address, depth: 1)
            lines[ObjectIdentifier(line.connection)] = line
            reopen(line.connection)
        }
        startUs = MonotonicClock.nowUs()
        schedule = OpenLoopSchedule(startUs: startUs, rate: options.rate, durationUs: options.durationUs)
        ticker = PreciseTimer(loop: loop) { [unowned self] in pump() }
        promised = options.timetable.entries.count
        for entry in options.timetable.entries {
            after(entry.atUs) { run in
                run.promised -= 1
                run.make(entry)
            }
        }
        watchdog = LoopTimer(loop: loop) { [unowned self] in look() }
        watchdog?.start(everyUs: MixedRun.watchUs)
        pump()
    }

    var secondNow: Int { Int((MonotonicClock.nowUs() - startUs) / 1_000_000) }

    // MARK: Sending

    private func pump() {
        let nowUs = MonotonicClock.nowUs()
        while let dueUs = schedule.takeDue(nowUs: nowUs) { put(ticket(intendedUs: dueUs)) }
        if let nextUs = schedule.nextUs { ticker?.start(atUs: nextUs) }
    }

    /// A new request, whose outcome is waited for.
    func put(_ ticket: Ticket) {
        open += 1
        results[ticket.kind]!.sent += 1
        go(ticket)
    }

    private func go(_ ticket: Ticket) {
        while let (line, generation) = free.popFirst() {
            // A connection that was opened again has come here again, too.
            guard line.connection.generation == generation, line.connection.takesRequests, line.ticket == nil else {
                continue
            }
            if ticket.tries == 0 { sendDelay.record(MonotonicClock.nowUs() - ticket.intendedUs) }
            return send(ticket, on: line)
        }
        waiting.append(ticket)
    }

    private func send(_ ticket: Ticket, on line: Line) {
        ticket.tries += 1
        ticket.sentUs = MonotonicClock.nowUs()
        ticket.sentWallUs = WallClock.nowUs()
        line.ticket = ticket
        line.connection.send(ticket.bytes.view, sinceUs: ticket.intendedUs)
        line.connection.flush()
    }

    private func becameFree(_ line: Line) {
        guard !isOver, line.ticket == nil, line.connection.takesRequests else { return }
        if let ticket = waiting.popFirst() {
            send(ticket, on: line)
        } else {
            free.append((line, line.connection.generation))
        }
    }

    func after(_ us: Int64, _ body: @escaping (MixedRun) -> Void) {
        lastTimer += 1
        let number = lastTimer
        timers[number] = loop.after(us: us) { [unowned self] in
            timers.removeValue(forKey: number)
            if !isOver { body(self) }
        }
    }

    // MARK: Connections

    private func reopen(_ connection: Connection) {
        guard !isOver else { return }
        do { try connection.open() } catch { after(MixedRun.reopenUs) { $0.reopen(connection) } }
    }

    func opened(_ connection: Connection) { becameFree(lines[ObjectIdentifier(connection)]!) }

    func closed(_ connection: Connection, lost: Int, reason: String?) {
        gone(connection, as: .connectionLost)
    }

    private func gone(_ connection: Connection, as error: ErrorKind) {
        let line = lines[ObjectIdentifier(connection)]!
        after(MixedRun.reopenUs) { $0.reopen(connection) }
        guard let ticket = line.ticket else { return }
        line.ticket = nil
        failed(ticket, error)
    }

    func answered(_ connection: Connection, status: Int, response: ByteView, sinceUs: Int64, nowUs: Int64) {
        let line = lines[ObjectIdentifier(connection)]!
        guard let ticket = line.ticket else { return }
        line.ticket = nil
        take(ticket, status: status, response: response, nowUs: nowUs)
        becameFree(line)
    }

    // MARK: Outcomes

    /// A try without an outcome: another one follows, if there may be one.
    func failed(_ ticket: Ticket, _ error: ErrorKind) {
        let result = results[ticket.kind]!
        result.errors[error, default: 0] += 1
        seconds.failed(second: secondNow)
        guard error != .unexpected, ticket.tries < options.attempts, !isOver else {
            open -= 1
            return
        }
        result.retries += 1
        let doubled = MixedRun.firstPauseUs << Int64(min(ticket.tries - 1, 10))
        let pauseUs = min(doubled, MixedRun.longestPauseUs)
        // Not all at once.
        let us = pauseUs / 2 + Int64(random.index(below: Int(pauseUs / 2)))
        after(us) { $0.go(ticket) }
    }

    func settled(_ ticket: Ticket, refused: Bool, nowUs: Int64) {
        open -= 1
        let result = results[ticket.kind]!
        if refused { result.refused += 1 } else { result.ok += 1 }
        result.latency.record(nowUs - ticket.intendedUs)
        seconds.answered(second: secondNow, us: nowUs - ticket.intendedUs)
        // A replica may refuse from memory what it knows to be over its limit: that is no sign of Redis.
        if refused { return }
        faultLog.succeeded(ticket.kind, sentUs: ticket.sentUs - startUs, atUs: nowUs - startUs)
    }

    private func look() {
        let nowUs = MonotonicClock.nowUs()
        for line in lines.values {
            guard let ticket = line.ticket, nowUs - ticket.sentUs > options.timeoutUs else { continue }
            line.connection.close()
            gone(line.connection, as: .timeout)
        }
        let isSent = schedule.nextUs == nil
        if isSent, durationUs == 0 { faultLog.close(nowUs - startUs) }
        if isSent, durationUs == 0 { durationUs = nowUs - startUs }
        let isDone = isSent && open == 0 && openFaults == 0 && promised == 0
        if isDone || nowUs - startUs > options.durationUs + options.graceUs { finish() }
    }

    private func finish() {
        guard !isOver else { return }
        isOver = true
        for line in lines.values { line.connection.close() }
        // Also those that wait for a connection, or for their next try.
        for result in results.values { result.unknown = result.sent - result.ok - result.refused }
        seconds.close(before: secondNow + 1)
        sendDelayP99Us = sendDelay.percentile(99)
        record.head.endMs = Int(WallClock.nowUs() / 1000)
        timers = [:]
        watchdog?.cancel()
        ticker = nil
        loop.stop()
    }

    // MARK: Faults

    private func make(_ entry: Timetable.Entry) {
        guard let control else { return }
        let number = faultLog.began(entry, atUs: MonotonicClock.nowUs() - startUs)
        openFaults += 1
        loop.spawn { [self] in
            let failure = await control.perform(entry.words)
            openFaults -= 1
            faultLog.ended(number, atUs: MonotonicClock.nowUs() - startUs, failure: failure)
            if let failure { self.failure = self.failure ?? failure }
        }
    }
}
