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
    private let directory: LaneDirectory
    private let lanes: [StockLane]
    private var outgoing: [Int: [HandedStep]] = [:]
    private var isHandingOver = false
    private var handed: [Int: (StockAnswer) -> Void] = [:]
    private var lastHanded = 0
    /// Lanes that have got something this tick.
    private var toPump: [StockLane] = []
    /// Called when a SKU has events to be told.
    var onOutbox: ((SKU) -> Void)? {
        didSet { for lane in lanes { lane.onOutbox = onOutbox } }
    }
    /// A given time in ms, and every step by scripts: for tests, with one loop.
    var givenNowMs: Int? {
        didSet { for lane in lanes { lane.givenNowMs = givenNowMs } }
    }
    var usesScriptsOnly = false {
        didSet { for lane in lanes { lane.usesScriptsOnly = usesScriptsOnly } }
    }

    init(context: ServiceContext, directory: LaneDirectory) {
        self.context = context
        self.directory = directory
        let keys = StockKeys(prefix: context.process.prefix)
        self.keys = keys
        let counters = StockCounters(context.metrics)
        lanes = (0..<StockLanes.lanesPerLoop).map { _ in
            StockLane(context: context, keys: keys, counters: counters)
        }
        directory.add(self, loop: context.loop)
    }

    func start() { for lane in lanes { lane.start() } }

    func stop() {
        directory.remove(loop: context.loop)
        for lane in lanes { lane.close() }
    }

    // MARK: Steps

    /// Has a step done; `then` is called with its answer, on this loop.
    func submit(_ step: StockStep, on sku: SKU, then: @escaping (StockAnswer) -> Void) {
        let place = LaneDirectory.place(of: sku, count: lanes.count * context.process.loopCount)
        let loop = place / lanes.count
        if loop == context.loop.index {
            add(StockTicket(step, on: sku, deadlineUs: context.loop.nowUs + StockLanes.budgetUs, then: then), place)
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

    private func add(_ ticket: StockTicket, _ place: Int) {
        let lane = lanes[place % lanes.count]
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
            let place = LaneDirectory.place(of: handed.sku, count: lanes.count * context.process.loopCount)
            let ticket = StockTicket(
                handed.step, on: handed.sku, deadlineUs: context.loop.nowUs + StockLanes.budgetUs
            ) { [unowned self] answer in
                handBack(HandedAnswer(number: handed.number, answer: answer), to: origin)
            }
            add(ticket, place)
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
