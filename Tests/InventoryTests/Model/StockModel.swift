import TestSupport

@testable import Inventory

/// The rules of stock in plain Swift: what the scripts and the group commit must do, written without looking at either.
struct StockModel {
    struct Counters: Equatable {
        var quantity = 0
        var reserved = 0
        var inTransit = 0
        var available: Int { quantity - reserved }
    }

    struct HoldState {
        var status: Hold.Status
        var parts: [Hold.Part]
        /// Counts the holds: who came first.
        var place: Int
        var expiresMs: Int
        var priority: Int
        var step: ReserveStep
    }

    struct TransferState {
        var status: Transfer.Status
        var from: String
        var to: String
        var quantity: Int
    }

    static let minStockLevel = 10
    static let maxStockLevel = 60

    var nowMs = 1_700_000_000_000
    var counters: [String: Counters] = [:]
    var holds: [String: HoldState] = [:]
    var transfers: [String: TransferState] = [:]
    var adjusted: [String: String] = [:]
    var levels: [String: StockAlert.Level] = [:]
    /// What was told, as `warning warehouse-1`.
    var events: [String] = []
    private var touched: Set<String> = []

    /// One step as a call of its own; what it is answered with, in words.
    mutating func perform(_ operation: Operation) -> String {
        touched = []
        releaseLapsed()
        let answer = judge(operation)
        serveWaiting()
        for warehouse in touched.sorted() { look(warehouse) }
        return answer
    }

    enum Operation: CustomStringConvertible {
        case reserve(ReserveStep)
        case confirm(HoldStep)
        case cancel(HoldStep)
        case extend(String, ms: Int)
        case adjust(id: String, warehouse: String, Adjustment.Kind, Int, expected: Int?)
        case transfer(id: String, from: String, to: String, Int)
        case move(id: String, Transfer.Status, Int?)

        var description: String {
            switch self {
            case .reserve(let step):
                "reserve \(step.suffix) \(step.wants) \(step.end) priority \(step.priority) kept \(step.kept) \(step.waitsForStock)"
            case .confirm(let step): "confirm \(step.suffix) \(step.quantity.map { String($0) } ?? "")"
            case .cancel(let step): "cancel \(step.suffix)"
            case .extend(let id, let ms): "extend \(id) \(ms)"
            case .adjust(let id, let warehouse, let kind, let n, let expected):
                "adjust \(id) \(warehouse) \(kind) \(n) \(expected.map { String($0) } ?? "")"
            case .transfer(let id, let from, let to, let n): "transfer \(id) \(from) \(to) \(n)"
            case .move(let id, let status, let n): "move \(id) \(status) \(n.map { String($0) } ?? "")"
            }
        }
    }

    private mutating func judge(_ operation: Operation) -> String {
        switch operation {
        case .reserve(let step): reserve(step)
        case .confirm(let step): confirm(step)
        case .cancel(let step): cancel(step)
        case .extend(let id, let ms): extend(id, ms)
        case .adjust(let id, let warehouse, let kind, let n, let expected): adjust(id, warehouse, kind, n, expected)
        case .transfer(let id, let from, let to, let n): transfer(id, from, to, n)
        case .move(let id, let status, let n): move(id, status, n)
        }
    }

    // MARK: Holds

    private func allocate(_ step: ReserveStep) -> (parts: [Hold.Part]?, had: Int) {
        var taken: [Hold.Part] = []
        var had = 0
        var isShort = false
        func free(_ warehouse: String) -> Int {
            let c = counters[warehouse] ?? Counters()
            let kept = (c.quantity * (step.kept[warehouse] ?? 0) + 999) / 1000
            return max(
                0, c.available - kept - taken.filter { $0.warehouse == warehouse }.reduce(0) { $0 + $1.quantity })
        }
        func take(_ warehouse: String, _ n: Int) {
            if let at = taken.firstIndex(where: { $0.warehouse == warehouse }) {
                taken[at].quantity += n
            } else {
                taken.append(Hold.Part(warehouse: warehouse, quantity: n))
            }
        }
        for want in step.wants {
            if want.split {
                var rest = want.quantity
                for warehouse in want.from where rest > 0 {
                    let n = min(rest, free(warehouse))
                    if n > 0 { take(warehouse, n) }
                    rest -= n
                }
                had += want.quantity - rest
                if rest > 0 { isShort = true }
            } else if let warehouse = want.from.first(where: { free($0) >= want.quantity }) {
                take(warehouse, want.quantity)
                had += want.quantity
            } else {
                had += want.from.map(free).max() ?? 0
                isShort = true
            }
        }
        return isShort ? (nil, had) : (taken, had)
    }

    private mutating func reserve(_ step: ReserveStep) -> String {
        if let known = holds[step.suffix] { return "existing \(known.status)" }
        let expiresMs =
            switch step.end {
            case .at(let ms): ms
            case .after(let ms): nowMs + ms
            }
        if expiresMs <= nowMs { return "past" }
        let (parts, had) = allocate(step)
        guard let parts else {
            guard step.waitsForStock else { return "short \(had)" }
            holds[step.suffix] = HoldState(
                status: .waiting, parts: [], place: holds.count, expiresMs: expiresMs, priority: step.priority,
                step: step
            )
            return "held waiting"
        }
        for part in parts { change(part.warehouse, reserved: part.quantity) }
        holds[step.suffix] = HoldState(
            status: .active, parts: parts, place: holds.count, expiresMs: expiresMs, priority: step.priority, step: step
        )
        return "held " + parts.map { "\($0.warehouse):\($0.quantity)" }.joined(separator: " ")
    }

    private mutating func confirm(_ step: HoldStep) -> String {
        guard let hold = holds[step.suffix] else { return "missing" }
        if hold.status == .confirmed { return "same" }
        guard hold.status == .active else { return "state \(hold.status)" }
        let had = hold.parts.reduce(0) { $0 + $1.quantity }
        var rest = step.quantity ?? had
        if rest > had { return "more \(had)" }
        for part in hold.parts {
            let n = min(rest, part.quantity)
            rest -= n
            change(part.warehouse, quantity: -n, reserved: -part.quantity)
        }
        holds[step.suffix]?.status = .confirmed
        return "done"
    }

    private mutating func cancel(_ step: HoldStep) -> String {
        guard let hold = holds[step.suffix] else { return "missing" }
        if hold.status == .cancelled { return "same" }
        guard hold.status == .active || hold.status == .waiting else { return "state \(hold.status)" }
        release(step.suffix, .cancelled)
        return "done"
    }

    private mutating func extend(_ id: String, _ ms: Int) -> String {
        guard let hold = holds[id] else { return "missing" }
        guard hold.status == .active || hold.status == .waiting else { return "state \(hold.status)" }
        holds[id]?.expiresMs = nowMs + ms
        return "done"
    }

    private mutating func release(_ id: String, _ status: Hold.Status) {
        if holds[id]!.status == .active {
            for part in holds[id]!.parts { change(part.warehouse, reserved: -part.quantity) }
        }
        holds[id]!.status = status
    }

    private mutating func releaseLapsed() {
        for (id, hold) in holds where hold.status == .active || hold.status == .waiting {
            if hold.expiresMs <= nowMs { release(id, .expired) }
        }
    }

    private mutating func serveWaiting() {
        let queue = holds.filter { $0.value.status == .waiting }.sorted {
            (-$0.value.priority, $0.value.place) < (-$1.value.priority, $1.value.place)
        }
        var spokenFor: Set<String> = []
        for (id, hold) in queue {
            let asked = Set(hold.step.wants.flatMap(\.from))
            guard spokenFor.isDisjoint(with: asked), let parts = allocate(hold.step).parts else {
                spokenFor.formUnion(asked)
                continue
            }
            for part in parts { change(part.warehouse, reserved: part.quantity) }
            holds[id]!.status = .active
            holds[id]!.parts = parts
        }
    }

    // MARK: Stock on hand

    private mutating func change(_ warehouse: String, quantity: Int = 0, reserved: Int = 0, inTransit: Int = 0) {
        counters[warehouse, default: Counters()].quantity += quantity
        counters[warehouse, default: Counters()].reserved += reserved
        counters[warehouse, default: Counters()].inTransit += inTransit
        touched.insert(warehouse)
    }

    private mutating func adjust(
        _ id: String, _ warehouse: String, _ kind: Adjustment.Kind, _ n: Int, _ expected: Int?
    ) -> String {
        if let known = adjusted[id] { return known }
        let c = counters[warehouse] ?? Counters()
        if let expected, expected != c.quantity { return "expected \(c.quantity)" }
        let wanted =
            switch kind {
            case .add: c.quantity + n
            case .subtract: c.quantity - n
            case .set: n
            }
        if wanted > 9_007_199_254_740_991 { return "limit" }
        if wanted < c.reserved { return "below \(c.quantity) \(c.reserved)" }
        change(warehouse, quantity: wanted - c.quantity)
        adjusted[id] = "\(c.quantity) to \(wanted)"
        return adjusted[id]!
    }

    private mutating func transfer(_ id: String, _ from: String, _ to: String, _ n: Int) -> String {
        if let known = transfers[id] { return "existing \(known.status.rawValue)" }
        let available = counters[from]?.available ?? 0
        if available < n { return "short \(available)" }
        change(from, reserved: n)
        transfers[id] = TransferState(status: .pending, from: from, to: to, quantity: n)
        return "held"
    }

    private mutating func move(_ id: String, _ status: Transfer.Status, _ n: Int?) -> String {
        guard let known = transfers[id] else { return "missing" }
        if known.status == status { return "same" }
        if let n, n > known.quantity { return "more \(known.quantity)" }
        let all = known.quantity
        switch (known.status, status) {
        case (.pending, .inTransit):
            change(known.from, quantity: -all, reserved: -all)
            change(known.to, inTransit: all)
        case (.inTransit, .received): change(known.to, quantity: n ?? all, inTransit: -all)
        case (.pending, .cancelled): change(known.from, reserved: -all)
        case (.inTransit, .cancelled):
            change(known.to, inTransit: -all)
            change(known.from, quantity: all)
        default: return "state \(known.status.rawValue)"
        }
        transfers[id]!.status = status
        return "done"
    }

    // MARK: Alerts

    private mutating func look(_ warehouse: String) {
        let available = counters[warehouse]!.available
        let calm = StockModel.minStockLevel + (StockModel.minStockLevel + 9) / 10
        let full = StockModel.maxStockLevel - (StockModel.maxStockLevel + 19) / 20
        var level: StockAlert.Level?
        if available <= StockModel.minStockLevel { level = .warning }
        if available <= StockModel.minStockLevel / 2 { level = .critical }
        if available <= 0 { level = .emergency }
        if available > StockModel.maxStockLevel { level = .overstock }
        let old = levels[warehouse]
        let order: [StockAlert.Level] = [.warning, .critical, .emergency]
        switch old {
        case nil: break
        case .overstock?: if available > full { level = .overstock }
        case let old?:
            if level == nil, available <= calm { level = old }
            if let new = level, let rank = order.firstIndex(of: new), rank < order.firstIndex(of: old)! { level = old }
        }
        guard level != old else { return }
        let isWorse = old != nil && level != nil && level != .overstock && old != .overstock
        if old != nil, !isWorse { events.append("resolved \(warehouse)") }
        if let level { events.append("\(level) \(warehouse)") }
        levels[warehouse] = level
    }
}
