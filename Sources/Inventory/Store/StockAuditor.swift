import EventLoops
import Redis
import Services

/// What is found of one SKU.
struct AuditReport: Sendable {
    var drifts: [Reconciler.Drift] = []
    /// Why it can't be judged, so that nothing is set right by it; nil: it can.
    var fault: String?
    /// Holds and open transfers, `h<id>` and `t<id>`, that are not listed where what is open is found.
    var unlisted: [StockBooks.Name] = []
    /// Whether what is due first, or who waits, is not as the lists have it.
    var isMisled = false
    var counters: [String: StockLevels] = [:]
    /// The ledger's newest entry at that moment.
    var ledgerID = ""
    /// How often the SKU has been set right before.
    var corrections = 0
}

/// Reads a SKU's books in short steps, while it trades.
final class StockAuditor {
    private let lanes: StockLanes
    private let ledger: LedgerReader
    private static let budgetUs: Int64 = 2_000_000
    private static let ledgerPage = 250
    /// Ledger entries that are gone through for holds that are not listed.
    private static let mostSearched = 200_000
    private static let mostFound = 200
    private static let mostPages = 10_000

    init(lanes: StockLanes) {
        self.lanes = lanes
        ledger = LedgerReader(lanes: lanes)
    }

    /// nil where there is no such product.
    func audit(_ sku: SKU) async throws -> AuditReport? {
        var slices = WorkSlices(lanes.context.loop)
        var report = AuditReport()
        var place = ("0", "0")
        var found: StockBooks?
        var pages = 0
        var last: Page
        repeat {
            switch try await page(sku, place) {
            case .broken(let word): return AuditReport(fault: "its \(word) key holds something else")
            case .page(let page): last = page
            }
            if last.stock.isEmpty, !last.hasProduct { return nil }
            var books = found ?? StockBooks(begin: LedgerPlace(last.newest))
            books.add(last.records, at: LedgerPlace(last.newest))
            report.unlisted += last.records.filter { $0.isOpen && !$0.isListed }.map(\.name)
            found = books
            place = last.next
            pages += 1
            await slices.pauseIfLong()
        } while place != ("", "") && pages < StockAuditor.mostPages
        guard var books = found else { return nil }
        if let fault = last.fault { return AuditReport(fault: fault) }
        report.ledgerID = last.newest
        report.corrections = last.fields["corrections"].flatMap { Int($0) } ?? 0
        report.isMisled = last.isMisled
        report.counters = ProductStock(last.stock).byWarehouse
        books.setCounters(report.counters)
        if let fault = last.ledgerFault { books.fault(fault) }
        try await walk(sku, &books, from: last.newest, &report, &slices)
        report.fault = books.faults.first
        report.drifts = books.drifts
        return report
    }

    /// Holds that have anything reserved.
    func openHolds(_ sku: SKU) async throws -> [StockRecord] {
        var place = ("0", "")
        var found: [StockBooks.Name: StockRecord] = [:]
        repeat {
            guard case .page(let page) = try await page(sku, place) else { break }
            for record in page.records where !record.levels.isEmpty { found[record.name] = record }
            place = page.next
        } while place.0 != ""
        return Array(found.values)
    }

    /// Goes back through the ledger: to its last checkpoint, and beyond that for as long as something is missing.
    private func walk(
        _ sku: SKU, _ books: inout StockBooks, from newest: String, _ report: inout AuditReport,
        _ slices: inout WorkSlices
    ) async throws {
        var end = newest
        var oldest: LedgerEntry?
        var searched = 0
        var isSearching = false
        while true {
            let entries =
                newest.isEmpty
                ? [] : try await ledger.page(sku, from: nil, to: end, limit: StockAuditor.ledgerPage)
            for entry in entries {
                books.walk(entry)
                await slices.pauseIfLong()
            }
            oldest = entries.last ?? oldest
            let isAtBeginning = entries.count < StockAuditor.ledgerPage
            if isAtBeginning {
                books.reachedBeginning(oldest)
            } else if !isSearching, !books.needs(oldest.map { LedgerPlace($0.id) }) {
                books.closeWindow()
            } else if !isSearching {
                end = "(" + (oldest?.id ?? "")
                continue
            }
            guard books.lacks, books.faults.isEmpty else { return }
            isSearching = true
            try await look(sku, &books, &report)
            if !books.lacks { return }
            searched += entries.count
            if isAtBeginning || searched > StockAuditor.mostSearched {
                // What was held before the ledger began may be open still.
                if !books.isWhole {
                    books.fault("some of what is reserved or in transit is of changes that the ledger has no more")
                }
                return
            }
            end = "(" + (oldest?.id ?? "")
        }
    }

    /// Reads the records that only the ledger tells of.
    private func look(_ sku: SKU, _ books: inout StockBooks, _ report: inout AuditReport) async throws {
        var names = books.takeMissing()[...]
        while !names.isEmpty {
            let part = Array(names.prefix(StockAuditor.mostFound))
            names = names.dropFirst(part.count)
            guard case .array(let reply) = try await run(sku, ["records"] + part), reply.count == 4,
                let newest = reply[1].string
            else { throw RedisError.unexpectedReply("books of \(sku)") }
            let later = try await changes(sku, from: report.ledgerID, to: newest)
            for record in StockAuditor.records(reply[2], reply[3]) {
                books.addFound(record, later: later[record.name] ?? [:])
                if record.isOpen, !record.isListed { report.unlisted.append(record.name) }
            }
        }
    }

    /// What has changed of holds and transfers behind one entry up to another.
    private func changes(
        _ sku: SKU, from first: String, to last: String
    ) async throws -> [StockBooks.Name: [String: StockLevels]] {
        var changes: [StockBooks.Name: [String: StockLevels]] = [:]
        var end = last
        while LedgerPlace(end) > LedgerPlace(first) {
            let entries = try await ledger.page(sku, from: nil, to: end, limit: StockAuditor.ledgerPage)
            for entry in entries where LedgerPlace(entry.id) > LedgerPlace(first) {
                guard let name = StockBooks.name(entry) else { continue }
                var change = entry.change
                change.quantity = 0
                changes[name, default: [:]][entry.warehouse] =
                    changes[name, default: [:]][entry.warehouse, default: StockLevels()] + change
            }
            guard entries.count == StockAuditor.ledgerPage, let oldest = entries.last,
                LedgerPlace(oldest.id) > LedgerPlace(first)
            else { break }
            end = "(" + oldest.id
        }
        return changes
    }

    // MARK: Parts

    /// What `books` reads at once.
    private struct Page {
        var newest: String
        var generated: String
        var hasProduct: Bool
        var stock: [String]
        var fields: [String: String]
        var firstEnd: Int?
        var waiting: Int
        var next: (String, String)
        var records: [StockRecord]

        /// Why its counters can't be read.
        var fault: String? {
            if stock.isEmpty { return "it has no stock key" }
            if fields["product"] == nil { return "its stock key names no product" }
            let broken = fields.filter { $0.key.contains(":") && Int($0.value) == nil }.map(\.key).min()
            return broken.map { "its stock key has no number for \($0)" }
        }

        /// What Redis knows of entries that are gone: the newest one there ever was must be there.
        var ledgerFault: String? {
            LedgerPlace(generated) > LedgerPlace(newest) ? "the ledger's newest entries were deleted" : nil
        }

        var isMisled: Bool {
            if (fields["waiting"].flatMap { Int($0) } ?? 0) != waiting { return true }
            guard let firstEnd else { return false }
            return fields["nextExpiry"].flatMap { Int($0) } ?? .max > firstEnd
        }
    }

    private enum Part {
        case page(Page)
        case broken(String)
    }

    private func page(_ sku: SKU, _ place: (String, String)) async throws -> Part {
        guard case .array(let reply) = try await run(sku, ["page", place.0, place.1]), let word = reply.first?.string
        else { throw RedisError.unexpectedReply("books of \(sku)") }
        if word == "broken" { return .broken(reply.last?.string ?? "") }
        guard reply.count == 11, let stock = reply[4].strings else {
            throw RedisError.unexpectedReply("books of \(sku)")
        }
        func text(_ index: Int) -> String { reply[index].string ?? "" }
        return .page(
            Page(
                newest: text(1), generated: text(2), hasProduct: reply[3].int == 1, stock: stock,
                fields: StockReply(nowMs: 0, productID: "", word: "", rest: stock).fields,
                firstEnd: Double(text(5)).flatMap { Int(exactly: $0) }, waiting: reply[6].int ?? 0,
                next: (text(7), text(8)), records: StockAuditor.records(reply[9], reply[10])))
    }

    private static func records(_ holds: RedisReply, _ transfers: RedisReply) -> [StockRecord] {
        func words(_ reply: RedisReply) -> [[String]] {
            guard case .array(let rows) = reply else { return [] }
            return rows.map { row in
                guard case .array(let cells) = row else { return [] }
                return cells.map { $0.string ?? $0.int.map { String($0) } ?? "" }
            }
        }
        return words(holds).compactMap { StockRecord(hold: $0) }
            + words(transfers).compactMap { StockRecord(transfer: $0) }
    }

    private func run(_ sku: SKU, _ arguments: [String]) async throws -> RedisReply {
        try await lanes.context.redis.run(
            InventoryScripts.books, keys: [lanes.keys.stock(sku), lanes.keys.whole(sku)], arguments: arguments,
            budgetUs: StockAuditor.budgetUs)
    }
}
