module liveprogram

go 1.20
