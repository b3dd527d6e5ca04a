import JSON
import TestSupport
import Testing

@testable import Inventory

struct DemandTests {
    /// Worked out by hand: forecasts 10, 10.6, 9.82, 11.074; errors 2, −2.6, 4.18.
    @Test func aKnownSeries() throws {
        let forecast = try #require(Demand(daily: [10, 12, 8, 14]).forecast(smoothing: 0.3))
        #expect(abs(forecast.perDay - 11.074) < 1e-9)
        #expect(abs(forecast.meanAbsoluteError - 8.78 / 3) < 1e-9)
        #expect(abs(forecast.meanAbsolutePercentageError! - (2 / 12 + 2.6 / 8 + 4.18 / 14) / 3) < 1e-9)
        #expect(abs(forecast.rootMeanSquareError - (28.2324 / 3).squareRoot()) < 1e-9)
        // 11.074 · 4 + 1.645 · 3.0677 · 2 = 54.39
        #expect(Demand.reorderPoint(forecast, leadTimeDays: 4, safetyStock: nil) == 55)
        #expect(Demand.reorderPoint(forecast, leadTimeDays: 4, safetyStock: 3) == 48)
    }

    @Test func littleIsKnown() {
        #expect(Demand(daily: []).forecast() == nil)
        let one = Demand(daily: [4]).forecast()
        #expect(one?.perDay == 4 && one?.meanAbsoluteError == 0 && one?.meanAbsolutePercentageError == nil)
        let none = Demand(daily: [0, 0, 0]).forecast()
        #expect(none?.perDay == 0 && none?.meanAbsolutePercentageError == nil)
    }

    @Test func stockGoesWhereItIsAskedFor() {
        func place(_ name: String, _ available: Int, _ demand: Double) -> Placement.Place {
            .init(warehouse: name, available: available, demand: demand)
        }
        #expect(Placement.moves([place("a", 90, 1), place("b", 10, 9)]) == [.init(from: "a", to: "b", quantity: 80)])
        #expect(Placement.moves([place("a", 50, 5), place("b", 50, 5)]).isEmpty)
        #expect(Placement.moves([place("a", 50, 0), place("b", 50, 0)]).isEmpty)
        let three = Placement.moves([place("a", 100, 0), place("b", 0, 1), place("c", 0, 3)])
        #expect(three == [.init(from: "a", to: "c", quantity: 75), .init(from: "a", to: "b", quantity: 25)])
    }

    @Test func fromTheLedger() throws {
        let stock = try StockServer()
        try stock.product("A", #","minStockLevel":5,"maxStockLevel":200,"leadTimeDays":2,"safetyStock":4"#)
        try stock.set("A", 40)
        for _ in 0..<3 {
            let id = try stock.hold("A", 10)
            _ = try stock.send("PUT", "/api/reservations/\(id)/confirm")
        }
        let row = try stock.send("GET", "/api/inventory/reorder?productId=A&days=7").json?.elements.first
        #expect(row?["forecastPerDay"] == .double(30) || row?["forecastPerDay"] == .int(30))
        #expect(row?["reorderPoint"]?.number == 64 && row?["suggestedQuantity"]?.number == 190)
        #expect(row?["availableAndInTransit"]?.number == 10)
        let place = try stock.send("GET", "/api/inventory/placement?productId=A").json
        #expect(place?["warehouses"]?.elements.count == 1 && place?["transfers"]?.elements.isEmpty == true)
        #expect(try stock.send("GET", "/api/inventory/reorder?days=0").json?["field"]?.text == "days")
        #expect(try stock.send("GET", "/api/inventory/reorder?limit=10").json?.elements.count == 1)
    }

    @Test func ordersAreOfWholeUnits() throws {
        #expect(Demand.order(190, unitsPerOrder: nil) == 190)
        #expect(Demand.order(190, unitsPerOrder: 24) == 192 && Demand.order(192, unitsPerOrder: 24) == 192)
        #expect(Demand.order(-5, unitsPerOrder: 24) == 0 && Demand.order(0, unitsPerOrder: 24) == 0)
        let most = 9_007_199_254_740_991
        #expect(Demand.order(.max, unitsPerOrder: most) == most)
        let forecast = try #require(Demand(daily: [Double(most)]).forecast())
        #expect(Demand.reorderPoint(forecast, leadTimeDays: 3650, safetyStock: most) == most)
        let stock = try StockServer()
        try stock.product(
            "A", #","minStockLevel":5,"maxStockLevel":200,"leadTimeDays":2,"safetyStock":4,"unitsPerOrder":12"#)
        try stock.set("A", 40)
        let id = try stock.hold("A", 30)
        _ = try stock.send("PUT", "/api/reservations/\(id)/confirm")
        let row = try stock.send("GET", "/api/inventory/reorder?productId=A&days=7").json?.elements.first
        #expect(row?["suggestedQuantity"]?.number == 192)
    }

    /// What somebody found to be there says nothing of what is asked for.
    @Test func whatIsCountedIsNoDemand() throws {
        let stock = try StockServer()
        try stock.product("A")
        try stock.set("A", 40)
        try stock.set("A", 30)
        let count = #"{"productId":"A","warehouseId":"warehouse-1","counted":20}"#
        #expect(try stock.send("POST", "/api/counts", count).status == 201)
        func perDay() throws -> JSONValue? {
            try stock.send("GET", "/api/inventory/reorder?productId=A&days=7").json?.elements.first?["forecastPerDay"]
        }
        #expect(try perDay() == .null)
        let taken = #"{"warehouseId":"warehouse-1","type":"subtract","quantity":7}"#
        #expect(try stock.send("POST", "/api/inventory/A/adjust", taken).status == 200)
        #expect(try perDay() == .int(7) || perDay() == .double(7))
    }
}
