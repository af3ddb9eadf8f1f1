"""Read what annotation tools write beside pictures: COCO, YOLO, Pascal VOC, LabelMe, CVAT, Label Studio, masks."""
