/// What a SKU's counters must agree with, as it was at one moment while the SKU traded: what is held, and what the ledger
/// says. It is gathered part by part: holds and transfers as they were read, then the ledger backwards from that moment.
/// Pure: the one who reads is `StockAuditor`.
struct StockBooks {
    /// A hold or a transfer: its kind, `h` or `t`, and its id.
    typealias Name = String

    /// Counters by what holds and open transfers have; no quantities.
    private(set) var held: [String: StockLevels] = [:]
    /// What is reserved and in transit by the records that were read after the ledger's entry of this id.
    private var readAt: [Name: LedgerPlace] = [:]
    private(set) var counters: [String: StockLevels] = [:]
    /// What the ledger's newest entries say was there.
    private(set) var ledger: [String: StockLevels] = [:]
    /// What each warehouse must have had after the next older entry.
    private var joins: [String: StockLevels] = [:]
    /// The ledger's newest entry when the first part and when the last part was read.
    let begin: LedgerPlace
    private(set) var end: LedgerPlace
    /// Why nothing may be set right by this.
    private(set) var faults: [String] = []
    /// Holds and transfers that are open by the ledger and were not among those that were read; those that have ended.
    private(set) var missing: [Name] = []
    private var ended: Set<Name> = []
    private var begunSince: Set<Name> = []
    private var changedSince: [Name: [String: StockLevels]] = [:]
    /// Whether the walk has come to a checkpoint or to the ledger's beginning: `ledger` is whole then.
    private(set) var isJoined = false
    /// Whether it has come to the first change of the SKU's life.
    private(set) var isWhole = false

    init(begin: LedgerPlace) {
        self.begin = begin
        end = begin
    }

    // MARK: What is held

    /// - Parameter place: the ledger's newest entry as this was read.
    mutating func add(_ records: [StockRecord], at place: LedgerPlace) {
        end = place
        for record in records where readAt[record.name] == nil {
            readAt[record.name] = place
            add(record.levels)
        }
    }

    mutating func setCounters(_ counters: [String: StockLevels]) { self.counters = counters }

    mutating func fault(_ text: String) { faults.append(text) }

    private mutating func add(_ levels: [String: StockLevels]) {
        for (warehouse, levels) in levels { held[warehouse] = held[warehouse, default: StockLevels()] + levels }
    }

    // MARK: The ledger

    /// Whether the ledger has to be read further back.
    func needs(_ next: LedgerPlace?) -> Bool {
        guard let next else { return false }
        return !isJoined || next > begin
    }

    /// An entry, older than those before.
    mutating func walk(_ entry: LedgerEntry) {
        let place = LedgerPlace(entry.id)
        guard entry.type != "checkpoint" else {
            if !isJoined { join(entry.checkpoint, "the checkpoint \(entry.id)") }
            isJoined = true
            return
        }
        if !isJoined { follow(entry) }
        account(entry, place)
    }

    /// There is no older entry.
    /// - Parameter first: the oldest one.
    mutating func reachedBeginning(_ first: LedgerEntry?) {
        if !isJoined {
            if first == nil {
                if counters.values.contains(where: { $0 != StockLevels() }) || !readAt.isEmpty {
                    faults.append("there is no ledger")
                }
            } else {
                join([:], "the beginning of the SKU")
            }
            isJoined = true
        }
        isWhole = first.map { $0.type != "checkpoint" } ?? true
        closeWindow()
    }

    /// What came about or changed between the parts that were read is known now.
    mutating func closeWindow() {
        for name in begunSince {
            add(changedSince[name] ?? [:])
            readAt[name] = end
        }
        changedSince = [:]
        begunSince = []
    }

    private mutating func follow(_ entry: LedgerEntry) {
        let before = entry.after - entry.change
        if let expected = joins[entry.warehouse] {
            if expected != entry.after { broken(entry.warehouse, "behind the entry \(entry.id)") }
        } else {
            ledger[entry.warehouse] = entry.after
        }
        joins[entry.warehouse] = before
    }

    private mutating func join(_ base: [String: StockLevels], _ what: String) {
        for (warehouse, levels) in base where ledger[warehouse] == nil {
            ledger[warehouse] = levels
            joins[warehouse] = levels
        }
        for (warehouse, expected) in joins.sorted(by: { $0.key < $1.key })
        where expected != base[warehouse] ?? StockLevels() {
            broken(warehouse, "behind \(what)")
        }
    }

    private mutating func broken(_ warehouse: String, _ place: String) {
        // One is enough to know.
        guard faults.isEmpty else { return }
        faults.append("the ledger lacks entries of \(warehouse) \(place): what it has does not join")
    }

    /// What an entry says of a hold or a transfer.
    private mutating func account(_ entry: LedgerEntry, _ place: LedgerPlace) {
        guard let name = StockBooks.name(entry) else { return }
        var change = entry.change
        change.quantity = 0
        if let readAt = readAt[name] {
            if place > readAt { add([entry.warehouse: change]) }
            return
        }
        if place > begin {
            changedSince[name, default: [:]][entry.warehouse] =
                changedSince[name, default: [:]][entry.warehouse, default: StockLevels()] + change
            if entry.type == "reserve" || entry.type == "transfer" { begunSince.insert(name) }
        }
        if ended.contains(name) || begunSince.contains(name) { return }
        ended.insert(name)
        if !Kind.ends(entry.type) { missing.append(name) }
    }

    /// Of which hold or transfer an entry tells; nil: of none.
    static func name(_ entry: LedgerEntry) -> Name? {
        guard let kind = Kind(entry.type), !entry.reference.isEmpty else { return nil }
        return kind.rawValue + entry.reference
    }

    private enum Kind: String {
        case hold = "h"
        case transfer = "t"

        init?(_ type: String) {
            switch type {
            case "reserve", "resize", "confirm", "cancel", "expire": self = .hold
            case "transfer", "ship", "receive", "lost", "transfer-cancel": self = .transfer
            default: return nil
            }
        }

        static func ends(_ type: String) -> Bool {
            type != "reserve" && type != "resize" && type != "transfer" && type != "ship"
        }
    }

    // MARK: What was not found

    /// Warehouses where more is reserved or in transit by the ledger than by what was found.
    var lacks: Bool {
        ledger.contains { warehouse, levels in
            let found = held[warehouse] ?? StockLevels()
            return levels.reserved > found.reserved || levels.inTransit > found.inTransit
        }
    }

    mutating func takeMissing() -> [Name] {
        defer { missing = [] }
        // Those that have begun since the first part are known by their entries.
        return missing.filter { readAt[$0] == nil }
    }

    /// A record that only the ledger has led to.
    /// - Parameter later: what has changed since `end` as it was read.
    mutating func addFound(_ record: StockRecord, later: [String: StockLevels]) {
        readAt[record.name] = end
        var levels = record.levels
        for (warehouse, change) in later { levels[warehouse] = levels[warehouse, default: StockLevels()] - change }
        add(levels)
    }

    var drifts: [Reconciler.Drift] { Reconciler.drifts(counters, held: held, ledger: ledger) }
}

/// A hold or a transfer as it was read.
struct StockRecord {
    /// Its kind, `h` or `t`, and its id.
    var name: StockBooks.Name
    /// What it has reserved or on its way.
    var levels: [String: StockLevels] = [:]
    /// Whether it has its place where what is open is found.
    var isListed: Bool
    /// Whether it should have one.
    var isOpen: Bool

    /// - Parameter words: `id status allocation listed`.
    init?(hold words: [String]) {
        guard words.count == 4 else { return nil }
        name = "h" + words[0]
        isOpen = words[1] == "active" || words[1] == "waiting"
        isListed = words[3] == "1"
        if words[1] == "active" {
            for part in Hold.parts(words[2]) {
                levels[part.warehouse, default: StockLevels()].reserved += part.quantity
            }
        }
    }

    /// - Parameter words: `id status from to quantity listed`.
    init?(transfer words: [String]) {
        guard words.count == 6, let quantity = Int(words[4]) else { return nil }
        name = "t" + words[0]
        isListed = words[5] == "1"
        switch Transfer.Status(rawValue: words[1]) {
        case .pending?:
            isOpen = true
            levels[words[2]] = StockLevels(quantity: 0, reserved: quantity, inTransit: 0)
        case .inTransit?:
            isOpen = true
            levels[words[3]] = StockLevels(quantity: 0, reserved: 0, inTransit: quantity)
        case .received?, .cancelled?, nil: isOpen = false
        }
    }
}

/// Where an entry stands in a ledger: `<ms since 1970>-<number>`.
struct LedgerPlace: Comparable {
    private let ms: UInt64
    private let number: UInt64

    /// - Parameter id: empty: before all entries.
    init(_ id: String) {
        let halves = id.split(separator: "-").map { UInt64($0) ?? 0 }
        ms = halves.first ?? 0
        number = halves.count > 1 ? halves[1] : 0
    }

    static func < (left: LedgerPlace, right: LedgerPlace) -> Bool {
        (left.ms, left.number) < (right.ms, right.number)
    }
}
