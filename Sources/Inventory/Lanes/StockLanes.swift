import EventLoops
import JSON
import Redis
import Services

/// One loop's way to change stock. Whatever changes one SKU goes through one lane of one loop of the process; what is parsed
/// on another loop is handed over, once per tick, and so is its answer.
final class StockLanes {
    let context: ServiceContext
    let keys: StockKeys
    /// How long a step may take altogether.
    static let budgetUs: Int64 = 5_000_000
    private static let lanesPerLoop = 4
    /// A transaction is of one slot there.
    private static let lanesPerNode = 8
    /// How long a node's lane may be without work.
    private static let idleUs: Int64 = 60_000_000
    private let directory: LaneDirectory
    private let counters: StockCounters
    /// On a cluster none: they are made for the nodes that there are.
    private let lanes: [StockLane]
    private var lanesOfNodes: [LaneOfNode: StockLane] = [:]
    private var idleTimer: LoopTimer?
    private let placesPerLoop: Int
    private var outgoing: [Int: [HandedStep]] = [:]
    private var isHandingOver = false
    private var handed: [Int: (StockAnswer) -> Void] = [:]
    private var lastHanded = 0
    private struct LaneOfNode: Hashable {
        let node: Int
        let place: Int
    }

    /// Lanes that have got something this tick.
    private var toPump: [StockLane] = []
    /// Called when a SKU has events to be told.
    var onOutbox: ((SKU) -> Void)? {
        didSet { for lane in allLanes { lane.onOutbox = onOutbox } }
    }
    /// A given time in ms, and every step by scripts: for tests, with one loop.
    var givenNowMs: Int? {
        didSet { for lane in allLanes { lane.givenNowMs = givenNowMs } }
    }
    var usesScriptsOnly = false {
        didSet { for lane in allLanes { lane.usesScriptsOnly = usesScriptsOnly } }
    }

    init(context: ServiceContext, directory: LaneDirectory) {
        self.context = context
        self.directory = directory
        let keys = StockKeys(prefix: context.process.prefix)
        self.keys = keys
        let counters = StockCounters(context.metrics)
        self.counters = counters
        let isCluster = context.redis.isCluster
        placesPerLoop = isCluster ? StockLanes.lanesPerNode : StockLanes.lanesPerLoop
        lanes = (0..<(isCluster ? 0 : StockLanes.lanesPerLoop)).map { _ in
            StockLane(context: context, keys: keys, counters: counters, directory: directory)
        }
        directory.add(self, loop: context.loop)
    }

    func start() {
        for lane in lanes { lane.start() }
        if !context.redis.isCluster { return }
        idleTimer = LoopTimer(loop: context.loop) { [unowned self] in closeIdleLanes() }
        idleTimer?.start(afterUs: StockLanes.idleUs)
    }

    func stop() {
        directory.remove(loop: context.loop)
        idleTimer?.cancel()
        for lane in allLanes { lane.close() }
    }

    /// When the first thing is due that the process has announced since this was asked last.
    func takeNotedDue() -> Int { directory.takeNotedDue() }

    private var allLanes: [StockLane] { lanes + lanesOfNodes.values }

    // MARK: Lanes of a cluster's nodes

    /// On a cluster each node has lanes of its own, so that one that is away keeps nobody else waiting.
    private func lane(of sku: SKU, _ place: Int) -> StockLane {
        if !lanes.isEmpty { return lanes[place % placesPerLoop] }
        let name = LaneOfNode(node: context.redis.node(of: sku), place: place % placesPerLoop)
        if let lane = lanesOfNodes[name] { return lane }
        let lane = StockLane(context: context, keys: keys, counters: counters, directory: directory, first: sku)
        lane.onOutbox = onOutbox
        lane.givenNowMs = givenNowMs
        lane.usesScriptsOnly = usesScriptsOnly
        lane.onMoved = { [unowned self] tickets in for ticket in tickets { add(ticket) } }
        lanesOfNodes[name] = lane
        lane.start()
        return lane
    }

    /// Nodes come and go.
    private func closeIdleLanes() {
        let sinceUs = context.loop.nowUs - StockLanes.idleUs
        for (name, lane) in lanesOfNodes where lane.isIdle && lane.lastUsedUs < sinceUs {
            lane.close()
            lanesOfNodes[name] = nil
        }
        idleTimer?.start(afterUs: StockLanes.idleUs)
    }

    // MARK: Steps

    /// Has a step done; `then` is called with its answer, on this loop.
    func submit(_ step: StockStep, on sku: SKU, then: @escaping (StockAnswer) -> Void) {
        let place = place(of: sku)
        let loop = place / placesPerLoop
        if loop == context.loop.index {
            add(ticket(step, sku, then), place)
        } else {
            handOver(step, sku, to: loop, then)
        }
    }

    func perform(_ step: StockStep, on sku: SKU) async -> StockAnswer {
        await suspend { submit(step, on: sku, then: $0) }
    }

    /// Does one operation (`op` and its members, as in `lua/inventory`) on a SKU.
    /// - Parameter drains: it only gives back, so it goes on when Redis has no memory left.
    func perform(_ operation: JSONValue, on sku: SKU, drains: Bool = false) async throws -> StockReply {
        try await perform([operation], on: sku, drains: drains)[0]
    }

    /// Does operations on one SKU in order; none at all releases what has lapsed. They are judged in one step unless there
    /// are more than fit a call.
    func perform(_ operations: [JSONValue], on sku: SKU, drains: Bool = false) async throws -> [StockReply] {
        if operations.isEmpty {
            if case .failed(let error) = await perform(.sweep, on: sku) { throw error }
            return []
        }
        let answers: [StockAnswer] = await suspend { resume in
            var answers: [StockAnswer] = Array(repeating: .unknown, count: operations.count)
            var missing = operations.count
            for (i, operation) in operations.enumerated() {
                submit(.scripted(json: operation.text(), drains: drains), on: sku) { answer in
                    answers[i] = answer
                    missing -= 1
                    if missing == 0 { resume(answers) }
                }
            }
        }
        return try answers.map { answer in
            switch answer {
            case .other(let reply): return reply
            case .failed(let error): throw error
            default: throw RedisError.unexpectedReply("a scripted step")
            }
        }
    }

    /// Which of all the process's lanes is a SKU's.
    private func place(of sku: SKU) -> Int {
        LaneDirectory.place(of: sku, count: placesPerLoop * context.process.loopCount)
    }

    private func ticket(_ step: StockStep, _ sku: SKU, _ then: @escaping (StockAnswer) -> Void) -> StockTicket {
        let slot = lanes.isEmpty ? RedisSlot.of(sku.code) : 0
        return StockTicket(
            step, on: sku, slot: slot, deadlineUs: context.loop.nowUs + StockLanes.budgetUs, then: then)
    }

    private func add(_ ticket: StockTicket) { add(ticket, place(of: ticket.sku)) }

    private func add(_ ticket: StockTicket, _ place: Int) {
        let lane = lane(of: ticket.sku, place)
        lane.add(ticket)
        if toPump.isEmpty { context.loop.atEndOfTick(.gather, self) }
        if !toPump.contains(where: { $0 === lane }) { toPump.append(lane) }
    }

    // MARK: Other loops

    private func handOver(_ step: StockStep, _ sku: SKU, to loop: Int, _ then: @escaping (StockAnswer) -> Void) {
        lastHanded += 1
        handed[lastHanded] = then
        if outgoing.isEmpty, !isHandingOver {
            isHandingOver = true
            context.loop.atEndOfTick(.gather, self)
        }
        outgoing[loop, default: []].append(HandedStep(number: lastHanded, sku: sku, step: step))
    }

    /// Steps that were parsed on another loop; their answers go back together, tick by tick.
    func take(_ steps: [HandedStep], from origin: Int) {
        for handed in steps {
            add(
                ticket(handed.step, handed.sku) { [unowned self] answer in
                    handBack(HandedAnswer(number: handed.number, answer: answer), to: origin)
                })
        }
    }

    private var returning: [Int: [HandedAnswer]] = [:]

    private func handBack(_ answer: HandedAnswer, to origin: Int) {
        if returning.isEmpty { context.loop.atEndOfTick(.gather, self) }
        returning[origin, default: []].append(answer)
    }

    func hear(_ answers: [HandedAnswer]) {
        for answer in answers { handed.removeValue(forKey: answer.number)?(answer.answer) }
    }
}

extension StockLanes: EndOfTick {
    func endOfTick() {
        let lanes = toPump
        toPump.removeAll(keepingCapacity: true)
        for lane in lanes { lane.pump() }
        let me = context.loop.index
        if !outgoing.isEmpty {
            isHandingOver = false
            let steps = outgoing
            outgoing = [:]
            for (loop, steps) in steps where !directory.send(to: loop, { $0.take(steps, from: me) }) {
                hear(steps.map { HandedAnswer(number: $0.number, answer: .failed(RedisError.unavailable)) })
            }
        }
        if !returning.isEmpty {
            let answers = returning
            returning = [:]
            for (loop, answers) in answers { directory.send(to: loop) { $0.hear(answers) } }
        }
    }
}
